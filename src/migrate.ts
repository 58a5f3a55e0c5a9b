import { DataSource, MigrationExecutor, type MigrationInterface, type QueryRunner } from "typeorm";
import { migrations } from "../migrations/index.js";
import { sqlState } from "./audit/sql-state.js";
import { connectionConfig, type Deadlines, withClient } from "./database/connection.js";
import { silentLogger } from "./database/silent-logger.js";
import { MigrationError, migrationErrorOf } from "./migration-error.js";

export { MigrationError } from "./migration-error.js";

/** The oldest PostgreSQL that the migrations run on. */
export const oldestMajorVersion = 15;

const schema = "auditql";
const table = "migration";
const applicationName = "auditql migrate";
const deadlines: Deadlines = { connect: 5_000, statement: 15 * 60_000, lock: 30_000, idleInTransaction: 60_000 };

/** How many migrations one call ran, and how many there are. */
export interface Migrated {
  readonly applied: number;
  readonly total: number;
}

/**
 * Runs the migrations that the database lacks, each in a transaction of its own.
 *
 * Any number of processes may ask at once: one runs them, the others wait for it, a minute at most.
 * @param adminUrl a login that may create schemas and roles
 * @param turnDeadline how long to wait for another process, in milliseconds
 * @throws MigrationError; what keeps it from connecting is thrown as it is
 */
export async function migrate(adminUrl: string, turnDeadline = 60_000): Promise<Migrated> {
  const source = new DataSource({
    type: "postgres",
    // The second connection is spare: TypeORM may ask for one while the first holds the lock.
    extra: { ...connectionConfig(adminUrl, applicationName, deadlines), max: 2 },
    schema,
    migrations: [...migrations],
    migrationsTableName: table,
    installExtensions: false,
    synchronize: false,
    logger: silentLogger,
  });
  await source.initialize();
  const runner = source.createQueryRunner();
  try {
    await requireVersion(runner);
    await takeTurn(runner, turnDeadline);
    return await runPending(source, runner);
  } finally {
    // The lock goes with its session, which the end of the source closes in any case.
    await runner.release().catch(() => undefined);
    await source.destroy();
  }
}

/** How many migrations the database lacks. Any login may ask, also one that may not migrate. */
export async function pending(url: string): Promise<number> {
  return withClient(connectionConfig(url, applicationName), async (client) => {
    const { rows: tables } = await client.query<{ there: boolean }>("select to_regclass($1) is not null as there", [
      `${schema}.${table}`,
    ]);
    if (!tables[0]?.there) return migrations.length;
    const { rows } = await client.query<{ name: string }>(`select name from ${schema}.${table}`);
    const applied = new Set(rows.map(({ name }) => name));
    return migrations.filter(({ name }) => !applied.has(name)).length;
  });
}

async function requireVersion(runner: QueryRunner): Promise<void> {
  const [row] = await rowsOf<{ number: number; version: string }>(
    runner,
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version`,
  );
  if (!row || row.number >= oldestMajorVersion * 10_000) return;
  throw new MigrationError(
    "version",
    `PostgreSQL ${oldestMajorVersion} or later is needed, and this server is ${row.version}.`,
  );
}

/** Held by the session that migrates, so that nobody else begins even where a migration's transaction is lost. */
async function takeTurn(runner: QueryRunner, turnDeadline: number): Promise<void> {
  await runner.query(`set lock_timeout = ${turnDeadline}`);
  try {
    await runner.query(`select pg_advisory_lock(hashtextextended('${schema}.${table}', 0))`);
  } catch (cause) {
    if (sqlState(cause) !== "55P03") throw cause;
    throw new MigrationError(
      "busy",
      `Another process has been migrating this database for more than ${turnDeadline / 1000} seconds: ` +
        `see pg_stat_activity for application_name '${applicationName}', and start again when it is done.`,
      { cause },
    );
  }
  await runner.query(`set lock_timeout = ${deadlines.lock}`);
}

async function runPending(source: DataSource, runner: QueryRunner): Promise<Migrated> {
  const nameOfRunning = watchRunning(source.migrations);
  try {
    await makeTable(runner);
    const executor = new MigrationExecutor(source, runner);
    executor.transaction = "each";
    const applied = await executor.executePendingMigrations();
    return { applied: applied.length, total: migrations.length };
  } catch (cause) {
    throw migrationErrorOf(cause, nameOfRunning());
  }
}

/** Answers which migration began last: TypeORM's errors don't say, and one may fail as late as at its COMMIT. */
function watchRunning(list: readonly MigrationInterface[]): () => string | null {
  let running: string | null = null;
  for (const migration of list) {
    const up = migration.up.bind(migration);
    migration.up = async (runner) => {
      running = migration.constructor.name;
      await up(runner);
    };
  }
  return () => running;
}

/**
 * Makes the list of what has run, all at once or not at all. Everyone may read it: a restricted login sees by it that
 * nothing is pending. CREATE … IF NOT EXISTS would ask for the right to make it even where it is there.
 */
async function makeTable(runner: QueryRunner): Promise<void> {
  const [row] = await rowsOf<{ there: boolean }>(
    runner,
    `select to_regclass('${schema}.${table}') is not null as there`,
  );
  if (row?.there) return;
  await runner.query(`
    create schema ${schema};
    create table ${schema}.${table} (
      id integer generated by default as identity primary key,
      "timestamp" bigint not null,
      name text not null unique
    );
    grant usage on schema ${schema} to public;
    grant select on ${schema}.${table} to public`);
}

async function rowsOf<Row>(runner: QueryRunner, sql: string): Promise<Row[]> {
  return (await runner.query(sql)) as Row[];
}
