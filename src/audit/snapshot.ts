import { createHash } from "node:crypto";
import type { PoolClient } from "pg";
import type { DataSource, EntityMetadata, QueryRunner } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata.js";
import type { JsonText } from "./entry.js";
import { exactly, secretly } from "./exact.js";
import type { AuditedResource, Visibility } from "./resource.js";
import { identifier } from "./sql.js";
import { columnOf, tableOf } from "./table.js";
import type { TransactionMark } from "./transaction-mark.js";

/** One row as the database held it: the entity for people's code, the exact values for the comparison. */
export interface Snapshot {
  readonly id: string;
  readonly entity: object;
  readonly label: string | null;
  /** By field: a tracked one's exact value, a secret's digest; null where the column is. */
  readonly values: ReadonlyMap<string, JsonText | null>;
  /** The transaction that it was read in; null where that had changed and locked nothing so far. */
  readonly transaction: TransactionMark | null;
}

/** How strongly a row is held until the transaction ends. A row that will not be deleted lets others refer to it. */
export type RowLock = "for update" | "for no key update";

/** The transaction in which any of them was read; null where none tells it. */
export function transactionOf(snapshots: ReadonlyMap<string, Snapshot | null>): TransactionMark | null {
  for (const snapshot of snapshots.values()) if (snapshot?.transaction) return snapshot.transaction;
  return null;
}

interface Reading {
  readonly sql: string;
  readonly take: (raw: unknown, row: Draft) => void;
}

interface Draft {
  readonly entity: Record<string, unknown>;
  readonly values: Map<string, JsonText | null>;
}

/**
 * Reads one resource's rows within a transaction, by hand-written named statements on the transaction's own connection:
 * TypeORM's builders for these three statements cost more than the rest of the mutation.
 */
export class SnapshotReader {
  readonly #resource: AuditedResource;
  readonly #metadata: EntityMetadata;
  readonly #readings: readonly Reading[];
  readonly #labelIndex: number | null;
  readonly #idColumn: ColumnMetadata;
  readonly #statements = new Map<string, { name: string; text: string }>();

  constructor(resource: AuditedResource, dataSource: DataSource) {
    this.#resource = resource;
    this.#metadata = dataSource.getMetadata(resource.entity);
    this.#readings = this.#metadata.columns.flatMap((column) => readingsOf(resource, column, dataSource));
    this.#labelIndex = resource.labelQuery === null ? null : this.#readings.length;
    this.#idColumn = columnOf(this.#metadata, resource.idField);
  }

  get idIsUuid(): boolean {
    return this.#idColumn.type === "uuid" || this.#idColumn.generationStrategy === "uuid";
  }

  /** The tenant's rows of these ids that the caller sees, by id; locked in the order of their ids where a lock is asked. */
  async read(
    runner: QueryRunner,
    tenantId: string,
    ids: readonly string[],
    visibility: Visibility<object> = "all",
    lock: RowLock | null = null,
  ): Promise<Map<string, Snapshot>> {
    const conditions =
      visibility === "all" ? [] : Object.entries(visibility as Readonly<Record<string, string | null>>);
    const statement = this.#statement(
      conditions.map(([field]) => field),
      lock,
    );
    const client = (await runner.connect()) as PoolClient;
    const values = [tenantId, ids, ...conditions.map(([, value]) => value)];
    const { rows } = await client.query<unknown[]>({ ...statement, values, rowMode: "array" });
    return new Map(rows.map((row) => this.#snapshot(row)).map((snapshot) => [snapshot.id, snapshot]));
  }

  #snapshot(row: readonly unknown[]): Snapshot {
    const draft: Draft = { entity: this.#metadata.create() as Record<string, unknown>, values: new Map() };
    this.#readings.forEach((reading, index) => {
      reading.take(row[index], draft);
    });
    const { entity, values } = draft;
    const label = this.#labelIndex === null ? this.#resource.label(entity) : row[this.#labelIndex];
    const id = String(entity[this.#resource.idField]);
    const [xactId, begunAt] = row.slice(-2);
    const transaction = typeof xactId === "string" && typeof begunAt === "string" ? { xactId, begunAt } : null;
    return { id, entity, label: typeof label === "string" ? label : null, values, transaction };
  }

  #statement(conditionFields: readonly string[], lock: RowLock | null): { name: string; text: string } {
    const key = `${lock ?? "plain"}:${conditionFields.join()}`;
    const known = this.#statements.get(key);
    if (known) return known;
    const selected = this.#readings.map((reading) => reading.sql);
    if (this.#resource.labelQuery !== null) selected.push(`(${this.#resource.labelQuery})`);
    // A lock is going to give the transaction its id in any case.
    selected.push(`pg_current_xact_id${lock === null ? "_if_assigned" : ""}()::text`, "now()::text");
    const id = inRow(this.#idColumn);
    const tenant = inRow(columnOf(this.#metadata, this.#resource.tenantField));
    const conditions = conditionFields.map(
      (field, index) => `${inRow(columnOf(this.#metadata, field))} = $${String(index + 3)}`,
    );
    const text = [
      `select ${selected.join(", ")} from ${tableOf(this.#metadata)} as "row"`,
      `where ${[`${tenant} = $1`, `${id} = any ($2)`, ...conditions].join(" and ")} order by ${id}`,
      ...(lock === null ? [] : [`${lock} of "row"`]),
    ].join(" ");
    // PostgreSQL tells names apart by their first 63 octets.
    const statement = { name: `audit:${createHash("sha256").update(text).digest("hex").slice(0, 32)}`, text };
    this.#statements.set(key, statement);
    return statement;
  }
}

const inRow = ({ databaseName }: ColumnMetadata): string => `"row".${identifier(databaseName)}`;

/** What to select for one column, and where each goes. A secret's value never leaves the database: its digest does. */
function readingsOf(resource: AuditedResource, column: ColumnMetadata, dataSource: DataSource): Reading[] {
  const policy = resource.fields[column.propertyPath];
  const name = inRow(column);
  if (policy?.kind === "secret")
    return [{ sql: secretly(name), take: (raw, row) => row.values.set(column.propertyPath, raw as string | null) }];
  const hydrate = (raw: unknown, row: Draft) => {
    column.setEntityValue(row.entity, dataSource.driver.prepareHydratedValue(raw, column));
  };
  const readings: Reading[] = column.isSelect ? [{ sql: name, take: hydrate }] : [];
  if (policy?.kind !== "track") return readings;
  const exact = exactly(name, column, policy.as);
  const store = (raw: unknown, row: Draft) => row.values.set(column.propertyPath, exact.toJson(raw));
  if (exact.sql !== name || !column.isSelect) return [...readings, { sql: exact.sql, take: store }];
  return [
    {
      sql: name,
      take: (raw, row) => {
        hydrate(raw, row);
        store(raw, row);
      },
    },
  ];
}
