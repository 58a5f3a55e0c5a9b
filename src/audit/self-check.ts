import pg from "pg";

/**
 * Finds out, as the API's own login, whether that login could alter, forge or read the log.
 *
 * Looks into the catalogue first, and then tries: in a transaction that is rolled back, with short time-outs. Answers
 * every problem at once, each with the SQL that mends it; none where all is well. Throws only where the connection fails.
 */
export async function selfCheck(client: pg.ClientBase): Promise<string[]> {
  await client.query(`begin; set local lock_timeout = '500ms'; set local statement_timeout = '5s'`);
  try {
    const missing = await look(client, missingTables);
    if (missing.length > 0) return missing;
    const found: string[] = [];
    for (const sql of catalogueChecks) found.push(...(await look(client, sql)));
    for (const sql of attacks) found.push(...(await attack(client, sql)));
    return found;
  } finally {
    await client.query(`rollback`);
  }
}

async function look(client: pg.ClientBase, sql: string): Promise<string[]> {
  const result = await tryOut<{ problem: string }>(client, sql);
  if (!(result instanceof pg.DatabaseError)) return result.map(({ problem }) => problem);
  return [
    `The catalogue could not be read (${result.code}: ${result.message}): start again when nothing locks the log.`,
  ];
}

async function attack(client: pg.ClientBase, sql: string): Promise<string[]> {
  const result = await tryOut(client, sql);
  if (!(result instanceof pg.DatabaseError)) {
    return [`"${sql}" was not refused. Serve with a login that is a member of app_api alone.`];
  }
  if (result.code === INSUFFICIENT_PRIVILEGE) return [];
  return [`"${sql}" was not refused for want of a right, but by ${result.code}: ${result.message}.`];
}

const INSUFFICIENT_PRIVILEGE = "42501";

/** Runs a statement that leaves nothing behind, and answers its rows or how the database refused it. */
async function tryOut<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  sql: string,
): Promise<Row[] | pg.DatabaseError> {
  await client.query(`savepoint tried`);
  try {
    return (await client.query<Row>(sql)).rows;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  } finally {
    await client.query(`rollback to savepoint tried`);
  }
}

const missingTables = `
  select format('There is no table audit.%s: run the migrations.', name) as problem
  from unnest(array['entry', 'entry_field', 'entry_key']) as name
  where not exists (
    select from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'audit' and relname = name
  )`;

// Whom the login may act as, itself included. A superuser may act as anyone: its might is named once, not for each.
const myRoles = `
  mine as (
    select pg_roles.* from pg_roles, (select rolsuper from pg_roles where rolname = current_user) as me (mighty)
    where case when mighty then rolname = current_user else pg_has_role(current_user, oid, 'MEMBER') end
  )`;

const logTables = `
  log as (
    select root.relname as root, tree.relid, tree.relid::regclass as name, tree.level, tree.isleaf
    from pg_class root
      join pg_namespace on pg_namespace.oid = root.relnamespace
      cross join lateral (
        select relid, level, isleaf from pg_partition_tree(root.oid)
        union all select root.oid, 0, true where root.relkind <> 'p'
      ) as tree
    where nspname = 'audit' and root.relname in ('entry', 'entry_field', 'entry_key')
  )`;

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

// pg_trigger.tgtype: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
const guards = `
  guard (root, trigger, kind, function, event, each) as (values
    (null, 'refuse_row', 1 + 2 + 8 + 16, 'refuse_change', 'BEFORE UPDATE OR DELETE', 'ROW'),
    (null, 'refuse_statement', 2 + 8 + 16, 'refuse_change', 'BEFORE UPDATE OR DELETE', 'STATEMENT'),
    (null, 'refuse_truncate', 2 + 32, 'refuse_change', 'BEFORE TRUNCATE', 'STATEMENT'),
    ('entry', 'admit', 1 + 2 + 4, 'admit', 'BEFORE INSERT', 'ROW'),
    ('entry_field', 'refuse_stranger', 1 + 2 + 4, 'refuse_stranger', 'BEFORE INSERT', 'ROW')
  )`;

const isGuard = `
  tgname = guard.trigger and tgtype = kind and tgenabled = 'A' and tgqual is null and tgnargs = 0
  and exists (
    select from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      join pg_roles on pg_roles.oid = proowner
    where pg_proc.oid = tgfoid and proname = guard.function and nspname = 'audit_guard' and rolname = 'audit_guard'
  )`;

// Making a row trigger on the parent makes it on the partitions: they are named only where the parent has its own.
const missingGuards = `
  with ${logTables}, ${guards},
  missing as (
    select log.*, guard.trigger, event, each, function
    from log join guard on coalesce(guard.root, log.root) = log.root
    where not exists (select from pg_trigger where tgrelid = relid and ${isGuard})
  )
  select format('%s lacks its guard %I, or it doesn''t fire always. SET ROLE audit_guard; CREATE OR REPLACE TRIGGER %2$I '
    '%3$s ON %1$s FOR EACH %4$s EXECUTE FUNCTION audit_guard.%5$I(); ALTER TABLE %1$s ENABLE ALWAYS TRIGGER %2$I; '
    'RESET ROLE;', name, trigger, event, each, function) as problem
  from missing
  where level = 0 or each = 'STATEMENT' or not exists (
    select from missing parent where parent.level = 0 and (parent.root, parent.trigger) = (missing.root, missing.trigger)
  )`;

// A trigger, a rule or a foreign key of someone else's may swallow an entry, alter it on its way in, or hold its rows.
const strangers = `
  with ${logTables}, ${guards}
  select format('%s has a trigger %I that the migrations didn''t make. SET ROLE audit_guard; DROP TRIGGER %2$I ON %1$s; '
    'RESET ROLE;', name, tgname) as problem
  from log join pg_trigger on tgrelid = relid and not tgisinternal
  where tgname not in (select guard.trigger from guard where coalesce(guard.root, log.root) = log.root)
  union all
  select format('%s has a rule %I. SET ROLE audit_guard; DROP RULE %2$I ON %1$s; RESET ROLE;', name, rulename)
  from log join pg_rewrite on ev_class = relid
  union all
  select format('A foreign key binds %s. ALTER TABLE %s DROP CONSTRAINT %I;', name, conrelid::regclass, conname)
  from log join pg_constraint on contype = 'f' and relid in (conrelid, confrelid)
  where conparentid = 0
  union all
  select format('%s has a policy %I that the migrations didn''t make. SET ROLE audit_guard; DROP POLICY %2$I ON %1$s; '
    'RESET ROLE;', name, polname)
  from log join pg_policy on polrelid = relid
  where not (level = 0 and (case root
    when 'entry' then polname in ('reader_selects', 'writer_inserts', 'writer_returns')
    when 'entry_field' then polname = 'reader_selects'
    else polname = 'writer_inserts'
  end))
  union all
  select format('Row-level security of %s is off. SET ROLE audit_guard; ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY; '
    'RESET ROLE;', name)
  from log join pg_class on pg_class.oid = relid
  where not relrowsecurity`;

// DEFAULT takes what has no month of its own, so an entry is lost only where neither is there.
const missingPartitions = `
  with ${logTables}
  select format('audit.%s has no partition for now. SELECT audit_guard.keep_partitions();', root) as problem
  from log
    join pg_class on pg_class.oid = relid
    cross join lateral pg_get_expr(relpartbound, relid) as bound
    cross join lateral regexp_match(bound, 'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)') as range (ids)
  where root <> 'entry_key'
  group by root
  having not coalesce(bool_or(
    bound = 'DEFAULT' or audit.id_floor(now()) >= ids[1]::uuid and audit.id_floor(now()) < ids[2]::uuid), false)`;

const catalogueChecks = [
  mightyRoles,
  ownership,
  tablePrivileges,
  columnPrivileges,
  missingGuards,
  strangers,
  missingPartitions,
];

const attacks = [
  `update audit.entry set reason = null where false`,
  `delete from audit.entry where false`,
  `truncate audit.entry`,
  `insert into audit.entry (id) values (audit.new_id())`,
  `insert into audit.entry (tenant_id) values ('x') on conflict (tenant_id, id) do update set reason = null`,
  `insert into audit.declaration (kind, name, declared) values ('mutation', 'x', '{}')`,
  `insert into audit.session (id, tenant_id) values (audit.new_id(), 'x')`,
  `update audit.session set settled = 0 where false`,
  `delete from audit.session where false`,
  `truncate audit.session`,
  `insert into audit.entry_field (tenant_id, field, id) values ('x', 'x', audit.new_id())`,
  `update audit.entry_key set ordinal = 1 where false`,
  `delete from audit.entry_key where false`,
  `truncate audit.entry_key`,
  `update audit.fence_mode set mode = 'record' where false`,
  `insert into audit.fence_mode values (session_user, 'record')`,
  `update audit.fence_policy set policy = 'ignore' where false`,
  `delete from audit.fence_standing where false`,
  `delete from audit.fence where false`,
  `insert into audit.fence_judged values (pg_current_xact_id(), 0, '', '', null)`,
  `select audit_guard.change_in_bulk('audit.entry', '', '')`,
  `select audit_guard.lift_fence('audit.entry')`,
  `alter table audit.entry disable trigger refuse_row`,
  `set local role audit_owner`,
  `set local role audit_guard`,
  `set local session_replication_role = replica`,
];
