import { rowsOf, run, type BenchCluster, type BenchDatabase } from "../cluster.js";
import { seedLog } from "../read/seed-log.js";
import { fence } from "../../scratch/fence.js";
import { ApiProcess } from "../api/api-process.js";
import type { Arm } from "../api/settings.js";

/** What each way of answering a mutation is called in the tables. */
export const armNames: Readonly<Record<Arm, string>> = {
  audited: "audited",
  unfenced: "audited, without the fence",
  filled: "audited, a full log",
  filledUnfenced: "audited, a full log, without the fence",
  keyed: "audited, the log's primary keys its only indexes",
  bare: "1. same wrapper, no changes, no entry",
  trigger: "2. that, and a full-row jsonb trigger",
  statement: "3. one UPDATE … RETURNING",
};

/** A server and the rows that its mutations change. */
export interface ArmServer {
  readonly arm: Arm;
  readonly api: ApiProcess;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly groupId: string;
}

export const TENANTS = ["north", "east", "south", "west"] as const;
const ROWS_A_TENANT = 500;

const FULL = "bench_full";
const isFull = (arm: Arm): boolean => arm === "filled" || arm === "filledUnfenced";
const isFenced = (arm: Arm): boolean => arm === "audited" || arm === "filled" || arm === "keyed";

/** Makes the database that the arms with a full log are copies of. */
export async function fillLog(cluster: BenchCluster, entries: number): Promise<void> {
  await seedLog(await cluster.database(FULL), entries);
}

/** Makes a database with rows of its own for the arm, and starts its server. */
export async function startArm(cluster: BenchCluster, arm: Arm): Promise<ArmServer> {
  const database = await cluster.database(arm, isFull(arm) ? FULL : undefined);
  await run(database.adminUrl, ...businessRows);
  // Behind the rows, which would leave an entry each.
  if (isFenced(arm)) await fence(database.adminUrl);
  if (arm === "trigger") await run(database.adminUrl, ...historyTrigger);
  if (arm === "keyed") await dropIndexes(database);
  await run(database.adminUrl, "vacuum analyze");
  const rows = await rowsOf<{ tenantId: string; deviceId: string; groupId: string }>(
    database.adminUrl,
    `select d.tenant_id as "tenantId", d.id as "deviceId", g.id as "groupId" from app.device d
       join app."group" g on g.tenant_id = d.tenant_id and g.name = d.name order by d.serial_number`,
  );
  const api = await ApiProcess.start({ arm, ...database, dataDir: cluster.folder });
  return { arm, api, rows };
}

const tenants = TENANTS.map((tenant) => `'${tenant}'`).join(", ");
const businessRows = [
  `insert into app.device (tenant_id, serial_number, name, firmware_version, provisioning_secret)
     select tenant, 'SN-' || lpad(n::text, 6, '0') || '-' || tenant, 'Sensor ' || n, '1.' || n, md5(n::text)
     from unnest(array[${tenants}]) as tenant, generate_series(1, ${String(ROWS_A_TENANT)}) as n`,
  `insert into app."group" (tenant_id, name) select tenant_id, name from app.device`,
  `insert into app.group_budget (tenant_id, group_id, spend_limit_micros)
     select tenant_id, id, 1000000 from app."group"`,
];

/** What is mostly taken for an audit log: the whole row before and after, whatever changed, whoever it was. */
const historyTrigger = [
  `create table app.history (
     id bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
     table_name text not null, operation text not null, login text not null default session_user,
     old_row jsonb, new_row jsonb)`,
  `create function app.keep_history() returns trigger language plpgsql security definer as $$
     begin
       insert into app.history (table_name, operation, old_row, new_row)
         values (tg_table_name, tg_op, to_jsonb(old), to_jsonb(new));
       return null;
     end $$`,
  ...["device", '"group"', "group_budget"].map(
    (table) => `create trigger keep_history after insert or update or delete on app.${table}
      for each row execute function app.keep_history()`,
  ),
];

/** By the only role that the log lets alter it. */
async function dropIndexes(database: BenchDatabase): Promise<void> {
  const indexes = await rowsOf<{ name: string }>(
    database.adminUrl,
    `select indexrelid::regclass::text as name from pg_index
       where indrelid = 'audit.entry'::regclass and not indisprimary`,
  );
  await run(database.adminUrl, "set role audit_guard", ...indexes.map(({ name }) => `drop index ${name}`));
}
