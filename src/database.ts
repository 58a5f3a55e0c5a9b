import type pg from "pg";
import { DataSource, type DataSourceOptions } from "typeorm";
import type { PostgresDriver } from "typeorm/driver/postgres/PostgresDriver.js";
import { asError } from "./audit/as-error.js";
import { onConnection } from "./audit/on-connection.js";
import {
  connectionConfig,
  type Deadlines,
  endingOf,
  openPool,
  servingDeadlines,
  type SessionSettings,
} from "./database/connection.js";
import { silentLogger } from "./database/silent-logger.js";
import { within } from "./within.js";

/**
 * One group of connections: the API's writes, its reads, entries of refused and failed attempts, of looks, the account of
 * sessions, the log's readers.
 */
export type PoolName = "api" | "read" | "refusals" | "looks" | "sessions" | "reader";

export interface DatabaseUrls {
  /** The API's restricted login. */
  readonly apiUrl: string;
  /** The reader's login, on a replica if there is one. */
  readonly readerUrl: string;
}

export interface DatabaseOptions {
  readonly entities: NonNullable<DataSourceOptions["entities"]>;
  /** Told of connections that broke while nobody used them, and of what couldn't be closed in time. Must not throw. */
  readonly onError: (error: Error, pool: PoolName) => void;
}

export interface Databases {
  /** Where mutations run. */
  readonly write: DataSource;
  /** Where queries of business data run, by the same login: the server refuses any write there. */
  readonly read: DataSource;
  /** For entries of attempts that came to nothing; bounded, and quick to give up. */
  readonly refusals: pg.Pool;
  /** For entries of looks at the log, so that readers hold up no attempt's; bounded and quick like those. */
  readonly looks: pg.Pool;
  /** For the account of this run's sessions, which nobody waits for. */
  readonly sessions: pg.Pool;
  /** For `auditLogs`, `auditEntry` and `auditSessions`: sees the tenants named in the transaction, and changes nothing. */
  readonly reader: pg.Pool;
  /** Waits for connections in use, and until all are closed; 2.5 seconds at most. Asked again, it answers the same. */
  close(): Promise<void>;
}

/** Sizes of the pools: together well below PostgreSQL's own default of 100 for one process. */
const sizes: Readonly<Record<PoolName, number>> = { api: 10, read: 5, refusals: 2, looks: 2, sessions: 1, reader: 8 };
const idleDeadline = 5 * 60_000;
const apartDeadlines: Deadlines = { ...servingDeadlines, connect: 2_000 };
/** With the steps before it, within what a stop may take. */
const closeDeadline = 2_500;
const upkeepDeadline = 60_000;
const readOnly: SessionSettings = { default_transaction_read_only: "on" };
const readWrite: SessionSettings = { default_transaction_read_only: "off" };

/**
 * Opens the API's connections. Every session has the same settings, whatever the server's defaults, and a deadline for
 * every wait; timestamptz arrives as `Instant`, bigint and numeric as texts.
 */
export async function openDatabases(urls: DatabaseUrls, options: DatabaseOptions): Promise<Databases> {
  const write = dataSource("api", poolConfig("api", urls.apiUrl, readWrite), options);
  const read = dataSource("read", poolConfig("read", urls.apiUrl, readOnly), options);
  const refusals = pool("refusals", poolConfig("refusals", urls.apiUrl, readWrite), options);
  const looks = pool("looks", poolConfig("looks", urls.apiUrl, readWrite), options);
  const sessions = pool("sessions", poolConfig("sessions", urls.apiUrl, readWrite), options);
  const reader = pool("reader", poolConfig("reader", urls.readerUrl, readOnly), options);
  const endings: Partial<Record<PoolName, () => Promise<void>>> = {
    refusals: endingOf(refusals),
    looks: endingOf(looks),
    sessions: endingOf(sessions),
    reader: endingOf(reader),
  };
  const close = closer(endings, options);
  try {
    await write.initialize();
    endings.api = endingOf(poolOf(write));
    await read.initialize();
    endings.read = endingOf(poolOf(read));
    requireHandWritten(write);
    requireHandWritten(read);
  } catch (error) {
    await close();
    throw error;
  }
  return { write, read, refusals, looks, sessions, reader, close };
}

/**
 * Keeps the log's monthly partitions some months ahead, as the API's login; a line for each thing done, none mostly.
 * It waits for nobody longer than a quarter of a second at a time, and fails after a minute at most.
 */
export function keepPartitions(pool: pg.Pool): Promise<string[]> {
  return onConnection(pool, async (client) => {
    await client.query("begin");
    await client.query(`set local statement_timeout = ${upkeepDeadline}`);
    const keep = { text: "select audit_guard.keep_partitions() as done", query_timeout: upkeepDeadline + 5_000 };
    const { rows } = await client.query<{ done: string }>(keep);
    await client.query("commit");
    return rows.map(({ done }) => done);
  });
}

function poolConfig(name: PoolName, url: string, settings: SessionSettings): pg.PoolConfig {
  const deadlines = name === "refusals" || name === "looks" || name === "sessions" ? apartDeadlines : servingDeadlines;
  const config = connectionConfig(url, `auditql ${name}`, deadlines, settings);
  // A pipelining connection is given up with the statement that outlasts its deadline: nothing waits behind that.
  return { ...config, max: sizes[name], idleTimeoutMillis: idleDeadline, pipeline: name === "api" };
}

function dataSource(name: PoolName, config: pg.PoolConfig, { entities, onError }: DatabaseOptions): DataSource {
  return new DataSource({
    type: "postgres",
    extra: config,
    entities,
    poolErrorHandler: (error: Error) => onError(error, name),
    installExtensions: false,
    synchronize: false,
    migrationsRun: false,
    dropSchema: false,
    logger: silentLogger,
  });
}

const pool = (name: PoolName, config: pg.PoolConfig, { onError }: DatabaseOptions): pg.Pool =>
  openPool(config, (error) => onError(error, name));

/**
 * A data source's own pool, whose end waits for the connections in use. TypeORM's `destroy()` doesn't: it gives them back
 * amid their transactions, to whoever waits for one.
 */
const poolOf = ({ driver }: DataSource): pg.Pool => (driver as PostgresDriver).master as pg.Pool;

/** The tables are made by migrations alone, as their owner: TypeORM never alters one. */
function requireHandWritten({ options }: DataSource): void {
  if (options.synchronize || options.dropSchema || options.migrationsRun) {
    throw new Error("TypeORM may not alter the schema: synchronize, dropSchema and migrationsRun have to be off.");
  }
}

/** @param endings of those pools that are open */
function closer(
  endings: Readonly<Partial<Record<PoolName, () => Promise<void>>>>,
  { onError }: DatabaseOptions,
): () => Promise<void> {
  const closeOne = async (name: PoolName): Promise<void> => {
    try {
      if ((await within(closeDeadline, endings[name]?.() ?? Promise.resolve())) === null)
        onError(new Error(`Connections were still in use ${closeDeadline / 1000} seconds after the end.`), name);
    } catch (error) {
      onError(asError(error), name);
    }
  };
  let closed: Promise<unknown> | undefined;
  return async () => {
    closed ??= Promise.all([
      closeOne("api"),
      closeOne("read"),
      closeOne("refusals"),
      closeOne("looks"),
      closeOne("sessions"),
      closeOne("reader"),
    ]);
    await closed;
  };
}
