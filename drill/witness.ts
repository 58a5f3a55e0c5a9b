import { rowsOf, run } from "../scratch/sql.js";
import { auditedTables, type AuditedTable } from "./audited-tables.js";

/** What became of one row by one statement, as the database saw it. */
export interface WitnessedChange {
  readonly transaction: string;
  readonly type: string;
  readonly tenantId: string;
  readonly id: string;
  /** Columns and values; null where no row stood. */
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
}

/**
 * Has the database itself write down every change of an audited table, apart from the log: a trigger of the superuser's
 * on each, which fires always. What the log says is judged by that.
 */
export async function installWitness(adminUrl: string): Promise<void> {
  await run(adminUrl, ...witness, ...auditedTables().flatMap(triggersOn));
}

/** Every change that was committed, in the order in which they were made. */
export function witnessed(adminUrl: string): Promise<WitnessedChange[]> {
  return rowsOf<WitnessedChange & Record<string, unknown>>(
    adminUrl,
    `select xact_id::text as transaction, type, tenant_id as "tenantId", id, before, after from drill.change order by number`,
  );
}

const witness = [
  `create schema drill`,
  `create table drill.change (
     number bigint generated always as identity primary key, xact_id xid8 not null, type text not null,
     tenant_id text not null, id text not null, before jsonb, after jsonb)`,
  `create function drill.witness() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp
   as $$
   declare
     known jsonb := to_jsonb(coalesce(new, old));
   begin
     insert into drill.change (xact_id, type, tenant_id, id, before, after)
       values (pg_current_xact_id(), tg_argv[0], known ->> tg_argv[1], known ->> tg_argv[2], to_jsonb(old), to_jsonb(new));
     return null;
   end
   $$`,
];

function triggersOn({ type, name, tenantColumn, idColumn }: AuditedTable): string[] {
  return [
    `create trigger drill_witness after insert or update or delete on ${name} for each row
       execute function drill.witness('${type}', '${tenantColumn}', '${idColumn}')`,
    `alter table ${name} enable always trigger drill_witness`,
  ];
}
