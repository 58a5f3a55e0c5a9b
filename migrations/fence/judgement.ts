/** Which of a row's changed fields this transaction's entries don't tell truly. */
export const judgement = `
  -- A set as entries have it: sorted by code point, each value once.
  create function audit_guard.as_set(list jsonb) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp
  return case when jsonb_typeof(list) = 'array' then (
    select coalesce(jsonb_agg(value order by value::text collate "C"), '[]')
    from (select distinct value from jsonb_array_elements(list) as value) as once
  ) else list end;

  -- Whether a change has this value on that side, in clear or by its salted digest.
  create function audit_guard.has_value(change jsonb, side text, wanted jsonb, is_set boolean, salt bytea) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp
  return case
    when change is null then false
    when change ? side then case when is_set then audit_guard.as_set(change -> side) else change -> side end
      is not distinct from wanted
    when change ? (side || 'Omitted') then wanted is not null and change -> (side || 'Omitted') ->> 'digest' = encode(
      sha256(salt || convert_to(
        case when is_set and jsonb_typeof(wanted) = 'array' then (
          select '[' || coalesce(string_agg(value::text, ',' order by place), '') || ']'
          from jsonb_array_elements(wanted) with ordinality as element (value, place)
        ) else wanted::text end, 'UTF8')), 'hex')
    else wanted is null
  end;

  -- The fields of what changed that this transaction's entries don't tell truly: of several entries the first has to
  -- know the old value, the last the new one. A clock that was set back in between hides none. Of a single entry also
  -- what it names of the known fields that didn't change, or twice.
  create function audit_guard.unproven(
    wanted_type text, wanted_tenant text, wanted_id text, expected jsonb, known text[], sets text[], written bigint
  ) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  as $$
  declare
    least_id constant uuid := audit.id_floor(transaction_timestamp() - interval '1 day');
  begin
    return (
      with own as (
        select row_number() over (order by entry.cmin::text::bigint, id) as place, entry.cmin::text::bigint as written,
          changes, salts
        from audit.entry
        where tenant_id = wanted_tenant and resource_type = wanted_type and resource_id = wanted_id and id >= least_id
          and xact_id = pg_current_xact_id() and outcome = 'SUCCESS' and actor_type <> 'DATABASE'
      ), named as materialized (
        select place, own.written, change, change ->> 'field' as field,
          substr(salts, (8 + 2 * slot::integer) * 16 + 1, 16) as old_salt,
          substr(salts, (9 + 2 * slot::integer) * 16 + 1, 16) as new_salt
        from own cross join lateral jsonb_array_elements(changes) with ordinality as element (change, slot)
      )
      select coalesce(array_agg(wanted ->> 'field' order by ordinality), '{}') || array(
        select field from named
        where field = any (known) and (select count(*) from own) = 1
        group by field
        having count(*) > 1 or not expected @> jsonb_build_array(jsonb_build_object('field', field))
        order by field collate "C"
      )
      from jsonb_array_elements(expected) with ordinality as element (wanted, ordinality)
        left join lateral (
          select * from named where named.field = wanted ->> 'field' order by place limit 1
        ) as first on true
        left join lateral (
          select * from named where named.field = wanted ->> 'field' order by place desc limit 1
        ) as last on true
      where not coalesce(case
        when wanted ? 'secret' then last.change ? 'secret' and (unproven.written is null or last.written > unproven.written)
          and (first.place <> last.place or last.change ->> 'op' = wanted ->> 'op')
        else not last.change ? 'secret'
          and (first.place <> last.place or last.change ->> 'op' = wanted ->> 'op')
          and audit_guard.has_value(first.change, 'old', wanted -> 'old', wanted ->> 'field' = any (sets), first.old_salt)
          and audit_guard.has_value(last.change, 'new', wanted -> 'new', wanted ->> 'field' = any (sets), last.new_salt)
      end, false)
    );
  end
  $$;

  -- Notes up to which version a row was judged that isn't the version of the event at hand.
  create function audit_guard.note_judged(changed oid, row_tenant text, row_id text, judged tid) returns void
  language sql set search_path = pg_catalog, pg_temp
  as $$
    delete from audit.fence_judged where ctid = any (array(
      select ctid from audit.fence_judged where xact_id < pg_snapshot_xmin(pg_current_snapshot())
      limit 100 for update skip locked
    ));
    insert into audit.fence_judged values (pg_current_xact_id(), changed, row_tenant, row_id, judged)
      on conflict on constraint fence_judged_pkey do update set version = excluded.version;
  $$`;
