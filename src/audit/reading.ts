import type { Pool, PoolClient, QueryResultRow } from "pg";
import { AuditError } from "./errors.js";
import { sqlState } from "./sql-state.js";
import { translateError } from "./translate-error.js";
import type { ReaderScope } from "./reader-scope.js";

/** One statement of a reading. One with a name is prepared and planned once a connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

export type RunStatement = <Row extends QueryResultRow>(statement: Statement) => Promise<Row[]>;

/**
 * Every way through the log is an index in the order of ids; statistics of a table that grows by the month would have
 * the planner read whole partitions instead, above all small and empty ones. Statements are written so that one plan is
 * good for all values, so that none is made anew: planning over the partitions costs ten times what the page costs.
 */
const settings = [
  "enable_seqscan",
  "enable_bitmapscan",
  "enable_hashjoin",
  "enable_mergejoin",
  "enable_material",
  "enable_sort",
];
const openWall = {
  name: "audit-read-begin",
  text: `select set_config('audit.tenants', $1, true), set_config('statement_timeout', $2, true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true),
    ${settings.map((setting) => `set_config('${setting}', 'off', true)`).join(", ")}`,
};

/**
 * Runs `work` in one read-only transaction that sees the scope's logs alone and one state of them.
 *
 * @param timeout milliseconds that a single statement may take
 * @throws AuditError TIMEOUT, or UNAVAILABLE where the database can't be reached
 */
export async function reading<Result>(
  pool: Pool,
  scope: ReaderScope,
  timeout: number,
  work: (run: RunStatement) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect().catch((error: unknown) => {
    throw readError(error);
  });
  // A connection that breaks between two statements says so by an event, which nobody hearing it would end the process;
  // the next statement fails by itself.
  client.on("error", ignored);
  try {
    await client.query("begin isolation level repeatable read read only");
    await client.query({ ...openWall, values: [scope === "*" ? "*" : scope.join(","), String(timeout)] });
    const result = await work(runOn(client));
    await client.query("commit");
    release(client);
    return result;
  } catch (error) {
    await giveBack(client);
    throw readError(error);
  }
}

function runOn(client: PoolClient): RunStatement {
  return async <Row extends QueryResultRow>(statement: Statement) => {
    const { rows } = await client.query<Row>({ ...statement, values: [...statement.values] });
    return rows;
  };
}

/** A connection that can't even roll back is of no use to the next one who reads. */
async function giveBack(client: PoolClient): Promise<void> {
  try {
    await client.query("rollback");
    release(client);
  } catch (error) {
    release(client, error);
  }
}

const ignored = (): void => undefined;

function release(client: PoolClient, broken?: unknown): void {
  client.off("error", ignored);
  client.release(broken !== undefined);
}

/** What a reader is told; what no one foresaw is left as it is, for the server to log. */
function readError(error: unknown): unknown {
  const state = sqlState(error);
  if (state === "40001") {
    const message = "The replica dropped what was being read to catch up. Try again.";
    return new AuditError("UNAVAILABLE", message, { cause: error });
  }
  if (state === "57014") {
    const message = "Reading the log took longer than it may. Ask for less: a narrower filter or range of time.";
    return new AuditError("TIMEOUT", message, { cause: error });
  }
  const told = translateError(error, "", () => "");
  return told.code === "INTERNAL" ? error : told;
}
