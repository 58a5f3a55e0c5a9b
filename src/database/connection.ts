import pg from "pg";
import { Instant } from "../instant.js";
import { within } from "../within.js";

/** Startup settings of a session, by their PostgreSQL names. */
export type SessionSettings = Readonly<Record<string, string | number>>;

/** How long anything of a session may take, in milliseconds. */
export interface Deadlines {
  readonly connect: number;
  readonly statement: number;
  readonly lock: number;
  readonly idleInTransaction: number;
}

/** The API's: short, for a request waits behind each. */
export const servingDeadlines: Deadlines = {
  connect: 5_000,
  statement: 10_000,
  lock: 5_000,
  idleInTransaction: 15_000,
};

/** How long after its own deadline a statement is given up here: the server, or the way to it, is gone. */
const silenceAllowed = 5_000;
const closeDeadline = 2_000;
const farewellDeadline = 500;
const keepAliveDelay = 10_000;

/** What decides how values print and what a commit means, whatever the server's, database's or login's defaults. */
const sameEverywhere: SessionSettings = {
  TimeZone: "UTC",
  DateStyle: "ISO",
  IntervalStyle: "iso_8601",
  bytea_output: "hex",
  extra_float_digits: 1,
  synchronous_commit: "on",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  // Temporary tables are found first unless they are named last.
  search_path: "pg_catalog,pg_temp",
  // Compiling a plan takes longer than any of our statements should.
  jit: "off",
};

const timestamptz: number = 1184;
type Parse = (text: string) => unknown;

/** node-postgres' own parsers, but for timestamptz: an Instant keeps the microseconds. int8 and numeric stay texts. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format): Parse =>
    (oid as number) === timestamptz && format !== "binary"
      ? (text) => Instant.parse(text)
      : (pg.types.getTypeParser(oid, format) as Parse),
};

/**
 * How to connect: with these names, settings and deadlines, whatever the URL's own parameters say of them.
 * It holds the password: never log it.
 */
export function connectionConfig(
  url: string,
  applicationName: string,
  deadlines: Deadlines = servingDeadlines,
  settings: SessionSettings = {},
): pg.ClientConfig {
  const all = { ...sameEverywhere, ...timeouts(deadlines), ...settings };
  return {
    connectionString: withParameters(url, applicationName, all),
    connectionTimeoutMillis: deadlines.connect,
    query_timeout: deadlines.statement + silenceAllowed,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelay,
    types,
  };
}

/** Connects, does the work and closes the connection, whatever came of it. */
export async function withClient<Result>(
  config: pg.ClientConfig,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = unconnected(config);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await endClient(client);
  }
}

/** Connects; the caller ends it. One that breaks rejects the statement under way, and the next. */
export async function openClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = unconnected(config);
  try {
    await client.connect();
  } catch (error) {
    await endClient(client);
    throw error;
  }
  return client;
}

function unconnected(config: pg.ClientConfig): pg.Client {
  const client = new pg.Client(config);
  // A connection that breaks rejects the statement under way; without a listener it would end the process too.
  client.on("error", () => undefined);
  return client;
}

const endClient = (client: pg.Client): Promise<unknown> =>
  within(
    closeDeadline,
    // It is gone all the same.
    client.end().catch(() => undefined),
  );

/**
 * A pool that outlives its connections: one that breaks between two statements would end the process if nobody heard of
 * it. The pool itself hears of idle ones alone, and its `end()` is through before they are.
 *
 * @param onError told of each connection that broke, whether idle, in use or being closed; must not throw
 */
export function openPool(config: pg.PoolConfig, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool(config);
  pool.on("connect", (client) => client.on("error", onError));
  // The connection itself has told of it.
  pool.on("error", () => undefined);
  return pool;
}

/**
 * Gives what ends a pool, once none of its connections is in use, and waits for their own end too: a server that stops,
 * or a database that is dropped, breaks none of them then.
 *
 * @param pool a new one: what it closed before isn't known
 * @param deadline milliseconds for a server that doesn't close its side; it is left alone then
 */
export function endingOf(pool: pg.Pool, deadline = farewellDeadline): () => Promise<void> {
  let open = pool.totalCount;
  let tellEnd = (): void => undefined;
  pool.on("connect", () => (open += 1));
  pool.on("remove", () => {
    open -= 1;
    if (open === 0) tellEnd();
  });
  return async () => {
    await pool.end();
    if (open > 0) await within(deadline, new Promise<void>((resolve) => (tellEnd = resolve)));
  };
}

const timeouts = ({ statement, lock, idleInTransaction }: Deadlines): SessionSettings => ({
  statement_timeout: statement,
  lock_timeout: lock,
  idle_in_transaction_session_timeout: idleInTransaction,
});

/** node-postgres lets a URL's parameters win over everything beside it. */
function withParameters(url: string, applicationName: string, settings: SessionSettings): string {
  // Its own error would hold the whole URL.
  if (!URL.canParse(url)) throw new TypeError("The database's URL is none.");
  const result = new URL(url);
  const theirs = result.searchParams.get("options");
  for (const name of [...Object.keys(settings), "query_timeout"]) result.searchParams.delete(name);
  const ours = Object.entries(settings).map(([name, value]) => `-c ${name}=${escapeOption(String(value))}`);
  // PostgreSQL takes the last of several.
  result.searchParams.set("options", [...(theirs ? [theirs] : []), ...ours].join(" "));
  result.searchParams.set("application_name", applicationName);
  return result.href;
}

const escapeOption = (value: string): string => value.replace(/[\\\s]/g, "\\$&");
