/** What is done about a change that has no true entry, and about TRUNCATE. */
export const answer = `
  -- What this transaction's entries name of a row, as a secret or with its values.
  create function audit_guard.named(wanted_type text, wanted_tenant text, wanted_id text, as_secret boolean) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  return array(
    select change ->> 'field' from audit.entry cross join lateral jsonb_array_elements(changes) as change
    where tenant_id = wanted_tenant and resource_type = wanted_type and resource_id = wanted_id
      and id >= audit.id_floor(transaction_timestamp() - interval '1 day') and xact_id = pg_current_xact_id_if_assigned()
      and outcome = 'SUCCESS' and actor_type <> 'DATABASE' and (change ? 'secret') = as_secret
  );

  -- What isn't told truly is refused, or written down, by whose login it is. What a version that still stands doesn't ask
  -- is written down in any case; what it asks as a secret, or with its values, has to be named so.
  create function audit_guard.answer(
    changed regclass, resource_type text, tenant_id text, id text, label text, action text, expected jsonb,
    unproven text[], unasked text[], as_secret text[], as_tracked text[]
  ) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    refused text[] := unproven;
    unwritten jsonb;
  begin
    if not audit_guard.refuses(session_user) then
      perform audit_guard.write_entry(tenant_id, resource_type, id, label, action, expected, null);
      return;
    end if;
    if as_secret && refused then
      refused := array(select field from unnest(refused) as field where field <> all (as_secret)
        or field <> all (audit_guard.named(resource_type, tenant_id, id, true)));
    end if;
    if as_tracked && refused then
      refused := array(select field from unnest(refused) as field where field <> all (as_tracked)
        or field <> all (audit_guard.named(resource_type, tenant_id, id, false)));
    end if;
    unwritten := (
      select jsonb_agg(change order by place) from jsonb_array_elements(expected) with ordinality as element (change, place)
      where change ->> 'field' = any (refused) and change ->> 'field' = any (unasked)
    );
    refused := array(
      select field from unnest(refused) as field
      where not coalesce(unwritten @> jsonb_build_array(jsonb_build_object('field', field)), false)
    );
    if refused <> '{}' then
      raise exception '% of % %: the change of % has no true entry in this transaction, so nothing is committed',
          lower(action), changed, id, array_to_string(refused, ', ')
        using errcode = 'QL001', schema = 'audit', constraint = 'fence',
          hint = format('Name the id in the mutation''s @audited, or await context.scope.touch(%s, [id]) before it is '
            'changed, and change it by context.manager.', resource_type);
    end if;
    if unwritten is not null then
      perform audit_guard.write_entry(tenant_id, resource_type, id, label, action, unwritten, null);
    end if;
  end
  $$;

  create function audit_guard.refuse_truncation() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  begin
    raise exception 'TRUNCATE on %.% refused: its rows are audited', tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege', hint = 'DELETE its rows, or use audit_guard.change_in_bulk.';
  end
  $$`;
