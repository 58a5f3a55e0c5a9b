/** What of the fences is gone or other than it was made, and how a table is let go. */
export const damage = `
  -- A table's triggers of its fence, by all that says when they fire and what they call.
  create function audit_guard.fence_triggers(fenced oid) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select array(
      select format('%s enabled %s type %s deferrable %s %s calls %s of %s where %s', tgname, tgenabled, tgtype, tgdeferrable,
        tginitdeferred, tgfoid::regproc, tgattr, tgqual)
      from pg_trigger where tgrelid = fenced and starts_with(tgname, 'audit_fence') order by tgname
    );
  $$;

  -- What of the fences is gone or other than it was made, a sentence each with what to do; none where all stand.
  create function audit_guard.fence_damage() returns setof text
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select format('The fence of %s is broken: %s. Start the server with a MIGRATION_DATABASE_URL: it makes it anew.',
      table_name, fault)
    from audit.fence
      left join pg_class on pg_class.oid = relation
      left join pg_namespace on pg_namespace.oid = relnamespace
      left join pg_proc on proname = 'fence_' || resource_type and pronamespace = 'audit_guard'::regnamespace
      cross join lateral (values
        (pg_class.oid is null or table_name <> format('%I.%I', nspname, relname), 'the table was dropped or renamed'),
        (pg_class.oid is not null and audit_guard.fence_triggers(relation) <> triggers, 'a trigger is gone, off, or another'),
        (pg_class.oid is not null and exists (
          select from unnest(columns) as known
          where known not in (
            select format('%s %s %s', attnum, attname, atttypid) from pg_attribute where attrelid = relation
          )
        ), 'a column that it looks at is gone, renamed or of another type'),
        (pg_proc.oid is null or not prosecdef or pg_get_userbyid(proowner) <> 'audit_guard'
          or md5(prosrc || proconfig::text) <> function_digest, 'its function is gone or another')
      ) as faults (stands, fault)
    where stands and not coalesce(aside = pg_current_xact_id_if_assigned(), false)
    order by resource_type;
  $$;

  -- What each fence asks, for a login that may not make it.
  create function audit_guard.fences() returns table (resource_type text, table_name text, digest text, policies jsonb)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select fence.resource_type, fence.table_name, fence.digest,
      (select jsonb_object_agg(field, policy) from audit.fence_policy as it where it.resource_type = fence.resource_type)
    from audit.fence;
  $$;

  -- Lets a table go, or be altered where a trigger rests on it, until the next start. Its triggers are its owner's.
  create function audit_guard.forget_fence(changed regclass) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    delete from audit.fence where relation = changed;
    if found then
      perform audit_guard.write_entry('$platform', 'fence', changed::text, null, 'DELETE', '[]', null);
    end if;
  end
  $$;

  create function audit_guard.lift_fence(changed regclass) returns void
  language plpgsql
  as $$
  begin
    perform audit_guard.forget_fence(changed);
    execute pg_catalog.format('drop trigger if exists audit_fence on %s', changed);
    execute pg_catalog.format('drop trigger if exists audit_fence_truncate on %s', changed);
  end
  $$`;
