import { logTables, myRoles } from "./roles-and-tables.js";

const mightyRoles = `
  with ${myRoles}
  select format('The API''s login %I %s. %s', current_user, fault, case when rolname = current_user
    then 'Serve with a login that has none of this: ALTER ROLE ' || quote_ident(rolname)
      || ' NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION;'
    else format('REVOKE %I FROM %I;', rolname, current_user) end) as problem
  from mine
    cross join lateral (values
      (rolsuper, 'is a superuser'),
      (rolbypassrls, 'passes row-level security'),
      (rolcreaterole, 'may give itself other roles'),
      (rolreplication, 'may read everything by replication'),
      (rolname in ('audit_owner', 'audit_guard', 'audit_reader', 'pg_execute_server_program', 'pg_read_server_files',
        'pg_write_server_files'), 'may act as ' || rolname)
    ) as faults (has, fault)
  where has and not (rolsuper and fault <> 'is a superuser')`;

const ownership = `
  with ${myRoles}
  select format('The API''s login %I owns %s %s of the log. ALTER %s %s OWNER TO %s;', current_user, type, identity,
    upper(type), identity, case when schema = 'audit' then 'audit_owner' else 'audit_guard' end) as problem
  from pg_shdepend
    join pg_database on pg_database.oid = dbid and datname = current_database()
    join mine on mine.oid = refobjid and rolname not in ('audit_owner', 'audit_guard')
    cross join lateral pg_identify_object(classid, objid, objsubid)
  where refclassid = 'pg_authid'::regclass and deptype = 'o'
    and (schema in ('audit', 'audit_guard') or (type = 'schema' and identity in ('audit', 'audit_guard')))
  union all
  select format('The API''s login %I owns the database. ALTER DATABASE %I OWNER TO another login;', current_user, datname)
  from pg_database join mine on mine.oid = datdba
  where datname = current_database()`;

const tablePrivileges = `
  with ${myRoles}, ${logTables}
  select format('The API''s login %I holds %2$s on %3$s. REVOKE %2$s ON %3$s FROM %4$I, PUBLIC;', current_user,
    string_agg(privilege, ', '), name, rolname) as problem
  from mine, log, unnest(array['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) as privilege
  where not rolsuper and rolname not in ('audit_owner', 'audit_guard')
    and (
      has_table_privilege(mine.oid, relid, privilege)
      or privilege in ('UPDATE', 'REFERENCES') and has_any_column_privilege(mine.oid, relid, privilege)
    )
  group by name, rolname`;

// What the database makes may not be stated, and of what was stated only what RETURNING needs may be read.
const columnPrivileges = `
  with ${myRoles}, ${logTables}
  select format('The API''s login %I may %2$s %3$s of %4$s. REVOKE %2$s, %2$s (%3$s) ON %4$s FROM %5$I, PUBLIC;',
    current_user, privilege, string_agg(quote_ident(attname), ', '), name, rolname) as problem
  from mine, log
    join pg_attribute on attrelid = relid and attnum > 0 and not attisdropped
    cross join unnest(array['INSERT', 'SELECT']) as privilege
  where not rolsuper and rolname not in ('audit_owner', 'audit_guard', 'audit_reader')
    and has_column_privilege(mine.oid, relid, attnum, privilege)
    and case
      when root = 'entry_field' then true
      when root = 'entry_key' then privilege = 'SELECT'
      when privilege = 'SELECT' then attname not in ('id', 'ordinal', 'xact_id')
      else attname in ('id', 'occurred_at', 'resource_label_folded', 'xact_id', 'database_user', 'application_name')
    end
  group by privilege, name, rolname`;

/** What the API's login may do to the log beyond adding entries: a look each, which answers problems. */
export const rights: readonly string[] = [mightyRoles, ownership, tablePrivileges, columnPrivileges];
