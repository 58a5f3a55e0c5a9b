/** Who is refused and who is recorded; each change of a mode leaves an entry. */
export const modes = `
  create function audit_guard.note_mode() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    if tg_op = 'UPDATE' and new.login <> old.login then
      raise exception 'A login''s mode stays that login''s' using errcode = 'integrity_constraint_violation',
        hint = 'Delete the row and insert another.';
    end if;
    if tg_op = 'UPDATE' and new.mode = old.mode then
      return null;
    end if;
    perform audit_guard.write_entry('$platform', 'fence_mode',
      case when tg_op = 'DELETE' then old.login else new.login end, null,
      case tg_op when 'INSERT' then 'CREATE' when 'UPDATE' then 'UPDATE' else 'DELETE' end,
      jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('field', 'mode',
        'op', case tg_op when 'INSERT' then 'ADD' when 'UPDATE' then 'REPLACE' else 'REMOVE' end,
        'old', case when tg_op <> 'INSERT' then old.mode end, 'new', case when tg_op <> 'DELETE' then new.mode end))),
      null);
    return null;
  end
  $$;

  create trigger note_mode after insert or update or delete on audit.fence_mode
    for each row execute function audit_guard.note_mode();
  create trigger refuse_truncate before truncate on audit.fence_mode
    for each statement execute function audit_guard.refuse_change();
  alter table audit.fence_mode enable always trigger note_mode;
  alter table audit.fence_mode enable always trigger refuse_truncate;

  -- Whoever may write entries, as itself or as another role, is refused what it left out. A superuser may all.
  create function audit_guard.refuses(login name) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
  declare
    privilege constant text := case
      when current_setting('server_version_num')::integer < 160000 then 'MEMBER' else 'USAGE, SET' end;
  begin
    return (select pg_has_role(oid, 'audit_writer', privilege) and not rolsuper from pg_roles where rolname = login)
      or exists (select from audit.fence_mode where fence_mode.login = refuses.login and mode = 'refuse');
  end
  $$`;

/** The policies that stand are emptied by nobody. */
export const policies = `
  create trigger refuse_truncate before truncate on audit.fence_policy
    for each statement execute function audit_guard.refuse_change();
  alter table audit.fence_policy enable always trigger refuse_truncate`;
