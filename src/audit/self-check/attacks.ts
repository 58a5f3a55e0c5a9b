import pg from "pg";
import { tryOut } from "./try-out.js";

/** Tries everything that the API's login must be refused for want of a right; answers a problem for each that it wasn't. */
export async function attackFindings(client: pg.ClientBase): Promise<string[]> {
  const found: string[] = [];
  for (const sql of attacks) found.push(...(await attack(client, sql)));
  return found;
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

const attacks: readonly string[] = [
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
