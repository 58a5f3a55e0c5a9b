/** One thing that is tried. */
export interface Attack {
  /** The trap that it belongs to, by its number. */
  readonly trap: string;
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
  const of = (trap: string, ...statements: string[]): Attack => ({ trap, statements });
  return [
    of("D1", `update audit.entry set reason = 'x'`),
    of("D1", `update audit.entry set reason = 'x' where false`),
    of("D1", `update only ${partition} set actor_id = 'someone'`),
    of("D1", `update app.log set reason = 'x'`),
    of("D1", `delete from audit.entry`),
    of("D1", `delete from audit.entry where false`),
    of("D1", `delete from ${partition} where id = (select id from ${partition} order by id desc limit 1)`),
    of("D1", `delete from app.log`),
    of("D1", `with gone as (delete from audit.entry returning 1) select count(*) from gone`),
    of("D1", `insert into audit.entry (tenant_id) values ('x') on conflict (tenant_id, id) do update set reason = 'x'`),
    of("D1", `merge into audit.entry using (values (1)) as one (n) on true when matched then update set reason = 'x'`),
    of("D1", `merge into audit.entry using (values (1)) as one (n) on true when matched then delete`),
    of("D1", `update audit.entry_field set field = 'x'`),
    of("D1", `delete from audit.entry_field`),
    of("D1", `delete from audit.entry_key where false`),
    of("D1", `prepare altering as update audit.entry set reason = 'x'`, `execute altering`),
    of("D2", `truncate audit.entry`),
    of("D2", `truncate audit.entry cascade`),
    of("D2", `truncate audit.entry restart identity cascade`),
    of("D2", `truncate ${partition}`),
    of("D2", `truncate audit.entry_default, ${partition}`),
    of("D2", `truncate audit.entry_field`),
    of("D2", `truncate audit.entry_key`),
    of("D2", `truncate app.log`),
    of("D3", `alter table audit.entry disable trigger refuse_row`),
    of("D3", `alter table audit.entry disable trigger all`),
    of("D3", `alter table ${partition} disable trigger user`, `delete from ${partition}`),
    of("D3", `alter table ${partition} enable replica trigger refuse_row`),
    of("D3", `drop trigger refuse_row on audit.entry`),
    of("D3", `drop trigger refuse_truncate on ${partition}`),
    of("D3", `create rule swallow as on insert to audit.entry do instead nothing`),
    of(
      "D3",
      `create trigger swallow before insert on audit.entry for each row execute function suppress_redundant_updates_trigger()`,
    ),
    of("D3", `alter table audit.entry detach partition ${partition}`),
    of("D3", `drop table ${partition}`),
    of("D3", `drop table audit.entry cascade`),
    of("D3", `drop schema audit cascade`),
    of("D3", `drop schema audit_guard cascade`),
    of("D3", `drop owned by audit_owner cascade`),
    of("D3", `reassign owned by audit_owner to ${login}`),
    of("D3", `alter schema audit rename to old`),
    of("D3", `alter table audit.entry rename to old`),
    of("D3", `alter table audit.entry owner to ${login}`),
    of("D3", `alter table ${partition} set unlogged`),
    of("D3", `alter table audit.entry alter column reason type text using 'x'`),
    of("D3", `alter table audit.entry drop column reason`),
    of("D3", `alter table audit.entry alter column database_user set default 'x'`),
    of("D3", `alter table audit.entry disable row level security`),
    of("D3", `create policy open on audit.entry for select to audit_reader using (true)`),
    of("D3", `drop policy reader_selects on audit.entry`),
    of("D3", `grant update, delete on audit.entry to app_api`),
    of("D3", `grant update (reason) on audit.entry to app_api`),
    of("D3", `grant insert (id) on audit.entry to app_api`),
    { trap: "D3", statements: [`grant audit_owner to ${login}`], undo: revokeAll("audit_owner", login) },
    { trap: "D3", statements: [`grant audit_guard to ${login}`], undo: revokeAll("audit_guard", login) },
    of("D3", `set local role audit_owner`, `alter table audit.entry disable trigger all`),
    of("D3", `set local role audit_guard`, `alter table audit.entry disable trigger all`),
    of("D3", `drop event trigger audit_refuse_ddl`),
    of("D3", `alter event trigger audit_refuse_ddl disable`),
    of("D3", `set local event_triggers = off`, `drop table audit.entry cascade`),
    of("D3", `update pg_trigger set tgenabled = 'D' where tgrelid = 'audit.entry'::regclass`),
    of("D4", `set local session_replication_role = replica`, `delete from audit.entry`),
    of("D4", `set local session_replication_role = replica`, `truncate ${partition}`),
    of("D4", `set local row_security = off`, `update audit.entry set reason = 'x'`),
    of(
      "D5",
      `create table app.parent (tenant_id text collate "C", id uuid,
         foreign key (tenant_id, id) references audit.entry on delete cascade on update cascade)`,
    ),
    of(
      "D5",
      `alter table audit.entry add foreign key (tenant_id, resource_id) references app.device on delete cascade`,
    ),
    of("D6", forge("id", past)),
    of("D6", `insert into audit.entry (id, ${stated}) overriding system value values (${past}, ${invented})`),
    of("D6", forge("occurred_at", `'2020-01-01'`)),
    of("D6", forge("xact_id", `'3'`)),
    of("D6", forge("database_user", `'somebody'`)),
    of("D6", `insert into ${partition} (${stated}) values (${invented})`),
    of("D6", `set local timezone = 'Pacific/Kiritimati'`, `insert into audit.entry (${stated}) values (${invented})`),
    of("D6", `insert into audit.entry_field (tenant_id, field, id) select tenant_id, 'x', id from audit.entry`),
    of("D6", `create or replace function audit.new_id() returns uuid language sql return ${past}`),
    of("D7", `create or replace function audit_guard.refuse_change() ${swallow}`),
    of("D7", `create or replace function audit_guard.stamp() ${swallow}`),
    of("D7", `alter function audit_guard.refuse_change() owner to ${login}`),
    of("D7", `alter function audit_guard.check_entry() set search_path = app`),
    of("D7", `drop function audit_guard.stamp() cascade`),
    of("D7", `select audit_guard.rescue_default('audit.entry')`),
    of(
      "D7",
      `create function pg_temp.octet_length(bytea) returns integer language sql return 160`,
      `set local search_path = pg_temp, pg_catalog`,
      `insert into audit.entry (${stated}) values (${invented.replace("repeat('00', 160)", "repeat('00', 3)")})`,
    ),
    of("D9", `insert into audit.entry (${stated}) values (${invented})`),
    of("D9", `insert into audit.entry (${stated}) values (${invented.replace("'USER', 'u-1'", "'DATABASE', null")})`),
    of("D9", `insert into audit.entry (${stated}) values (${invented.replace("'north'", "'$platform'")})`),
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
