/** One thing that is tried. */
export interface Attack {
  /** What is meant to come of it. */
  readonly aim: string;
  readonly statements: readonly string[];
  /** What takes back, as the superuser, what it does to the whole server. */
  readonly undo?: string;
}

/** The columns that a writer of entries has to state, and an entry of which nothing is wrong but that it is invented. */
const stated = `tenant_id, format_version, actor_type, actor_id, actor_name, action, event_type, outcome, resource_type,
  resource_id, changes, attempted, operation, session_id, sequence_number, ordinal, salts`;
const invented = `'north', 1, 'USER', 'u-1', 'Somebody Else', 'DELETE', 'device.deleted', 'SUCCESS', 'device',
  '9f0c8a52-7a1e-4b7e-9d39-0d1f4f0f2f11', '[]', '[]', 'deleteDevice', '0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33', 7, 0,
  decode(repeat('00', 160), 'hex')`;
const forge = (column: string, value: string) =>
  `insert into audit.entry (${column}, ${stated}) values (${value}, ${invented})`;

const swallow = `returns trigger language plpgsql as 'begin return null; end'`;
const past = `audit.id_floor('2020-01-01')`;

/**
 * All that is tried, on the log's tables and the partition that holds entries.
 *
 * @param partition the partition that holds entries, as SQL names it
 * @param login the login that serves
 */
export function attacks(partition: string, login: string): readonly Attack[] {
  const of = (aim: string, ...statements: string[]): Attack => ({ aim, statements });
  return [
    of("alter", `update audit.entry set reason = 'x'`),
    of("alter", `update audit.entry set reason = 'x' where false`),
    of("alter", `update only ${partition} set actor_id = 'someone'`),
    of("alter", `update app.log set reason = 'x'`),
    of("alter", `delete from audit.entry`),
    of("alter", `delete from audit.entry where false`),
    of("alter", `delete from ${partition} where id = (select id from ${partition} order by id desc limit 1)`),
    of("alter", `delete from app.log`),
    of("alter", `with gone as (delete from audit.entry returning 1) select count(*) from gone`),
    of(
      "alter",
      `insert into audit.entry (tenant_id) values ('x') on conflict (tenant_id, id) do update set reason = 'x'`,
    ),
    of(
      "alter",
      `merge into audit.entry using (values (1)) as one (n) on true when matched then update set reason = 'x'`,
    ),
    of("alter", `merge into audit.entry using (values (1)) as one (n) on true when matched then delete`),
    of("alter", `update audit.entry_field set field = 'x'`),
    of("alter", `delete from audit.entry_field`),
    of("alter", `delete from audit.entry_key where false`),
    of("alter", `prepare altering as update audit.entry set reason = 'x'`, `execute altering`),
    of("empty", `truncate audit.entry`),
    of("empty", `truncate audit.entry cascade`),
    of("empty", `truncate audit.entry restart identity cascade`),
    of("empty", `truncate ${partition}`),
    of("empty", `truncate audit.entry_default, ${partition}`),
    of("empty", `truncate audit.entry_field`),
    of("empty", `truncate audit.entry_key`),
    of("empty", `truncate app.log`),
    of("unguard", `alter table audit.entry disable trigger refuse_row`),
    of("unguard", `alter table audit.entry disable trigger all`),
    of("unguard", `alter table ${partition} disable trigger user`, `delete from ${partition}`),
    of("unguard", `alter table ${partition} enable replica trigger refuse_row`),
    of("unguard", `drop trigger refuse_row on audit.entry`),
    of("unguard", `drop trigger refuse_truncate on ${partition}`),
    of("unguard", `create rule swallow as on insert to audit.entry do instead nothing`),
    of(
      "unguard",
      `create trigger swallow before insert on audit.entry for each row execute function suppress_redundant_updates_trigger()`,
    ),
    of("unguard", `alter table audit.entry detach partition ${partition}`),
    of("unguard", `drop table ${partition}`),
    of("unguard", `drop table audit.entry cascade`),
    of("unguard", `drop schema audit cascade`),
    of("unguard", `drop schema audit_guard cascade`),
    of("unguard", `drop owned by audit_owner cascade`),
    of("unguard", `reassign owned by audit_owner to ${login}`),
    of("unguard", `alter schema audit rename to old`),
    of("unguard", `alter table audit.entry rename to old`),
    of("unguard", `alter table audit.entry owner to ${login}`),
    of("unguard", `alter table ${partition} set unlogged`),
    of("unguard", `alter table audit.entry alter column reason type text using 'x'`),
    of("unguard", `alter table audit.entry drop column reason`),
    of("unguard", `alter table audit.entry alter column database_user set default 'x'`),
    of("unguard", `alter table audit.entry disable row level security`),
    of("unguard", `create policy open on audit.entry for select to audit_reader using (true)`),
    of("unguard", `drop policy reader_selects on audit.entry`),
    of("unguard", `grant update, delete on audit.entry to app_api`),
    of("unguard", `grant update (reason) on audit.entry to app_api`),
    of("unguard", `grant insert (id) on audit.entry to app_api`),
    { aim: "unguard", statements: [`grant audit_owner to ${login}`], undo: revokeAll("audit_owner", login) },
    { aim: "unguard", statements: [`grant audit_guard to ${login}`], undo: revokeAll("audit_guard", login) },
    of("unguard", `set local role audit_owner`, `alter table audit.entry disable trigger all`),
    of("unguard", `set local role audit_guard`, `alter table audit.entry disable trigger all`),
    of("unguard", `drop event trigger audit_refuse_ddl`),
    of("unguard", `alter event trigger audit_refuse_ddl disable`),
    of("unguard", `set local event_triggers = off`, `drop table audit.entry cascade`),
    of("unguard", `update pg_trigger set tgenabled = 'D' where tgrelid = 'audit.entry'::regclass`),
    of("pass as a replica", `set local session_replication_role = replica`, `delete from audit.entry`),
    of("pass as a replica", `set local session_replication_role = replica`, `truncate ${partition}`),
    of("pass as a replica", `set local row_security = off`, `update audit.entry set reason = 'x'`),
    of(
      "bind by a key",
      `create table app.parent (tenant_id text collate "C", id uuid,
         foreign key (tenant_id, id) references audit.entry on delete cascade on update cascade)`,
    ),
    of(
      "bind by a key",
      `alter table audit.entry add foreign key (tenant_id, resource_id) references app.device on delete cascade`,
    ),
    of("backdate", forge("id", past)),
    of("backdate", `insert into audit.entry (id, ${stated}) overriding system value values (${past}, ${invented})`),
    of("backdate", forge("occurred_at", `'2020-01-01'`)),
    of("backdate", forge("xact_id", `'3'`)),
    of("backdate", forge("database_user", `'somebody'`)),
    of("backdate", `insert into ${partition} (${stated}) values (${invented})`),
    of(
      "backdate",
      `set local timezone = 'Pacific/Kiritimati'`,
      `insert into audit.entry (${stated}) values (${invented})`,
    ),
    of("backdate", `insert into audit.entry_field (tenant_id, field, id) select tenant_id, 'x', id from audit.entry`),
    of("backdate", `create or replace function audit.new_id() returns uuid language sql return ${past}`),
    of("replace a guard", `create or replace function audit_guard.refuse_change() ${swallow}`),
    of("replace a guard", `create or replace function audit_guard.admit() ${swallow}`),
    of("replace a guard", `alter function audit_guard.refuse_change() owner to ${login}`),
    of("replace a guard", `alter function audit_guard.admit() set search_path = app`),
    of("replace a guard", `drop function audit_guard.admit() cascade`),
    of("replace a guard", `select audit_guard.rescue_default('audit.entry')`),
    of(
      "replace a guard",
      `create function pg_temp.octet_length(bytea) returns integer language sql return 160`,
      `set local search_path = pg_temp, pg_catalog`,
      `insert into audit.entry (${stated}) values (${invented.replace("repeat('00', 160)", "repeat('00', 3)")})`,
    ),
    of("forge", `insert into audit.entry (${stated}) values (${invented})`),
    of(
      "forge",
      `insert into audit.entry (${stated}) values (${invented.replace("'USER', 'u-1'", "'DATABASE', null")})`,
    ),
    of("forge", `insert into audit.entry (${stated}) values (${invented.replace("'north'", "'$platform'")})`),
  ];
}

/** Whoever granted it. */
const revokeAll = (role: string, login: string): string => `
  do $$
  declare
    granted record;
  begin
    for granted in
      select grantor::regrole as giver from pg_auth_members
      where roleid = '${role}'::regrole and member = '${login}'::regrole
    loop
      execute format('revoke ${role} from ${login} granted by %s cascade', granted.giver);
    end loop;
  end
  $$`;
