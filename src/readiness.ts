import type pg from "pg";
import { onConnection } from "./audit/on-connection.js";
import type { Replayer } from "./audit/spool/replayer.js";
import type { Spool } from "./audit/spool/spool.js";
import { codeOf } from "./disk/code-of.js";
import type { PartitionUpkeep } from "./partition-upkeep.js";

export interface ReadinessPart {
  readonly status: "ok" | "failed";
  /** What is wrong and what it means, with a code of PostgreSQL's or the system's at most. */
  readonly detail?: string;
}

export interface ReadinessReport {
  /** `degraded` serves all that its parts allow; `unavailable` serves nothing. */
  readonly status: "ready" | "degraded" | "unavailable";
  /** There is no other mode: a change without its entry isn't committed. */
  readonly auditing: "strict";
  readonly database: "embedded" | "external";
  readonly parts: Readonly<Record<PartName, ReadinessPart>>;
}

type PartName = "process" | "database" | "log" | "reader" | "migrations" | "partitions" | "spool";

export interface ReadinessOptions {
  /** Connections of the API's login, for these looks alone. */
  readonly probes: pg.Pool;
  readonly reader: pg.Pool;
  readonly upkeep: Pick<PartitionUpkeep, "lastError">;
  /** Attempts that wait for the log, and who writes them. */
  readonly spooling: {
    readonly spool: Pick<Spool, "state" | "attention">;
    readonly replayer: Pick<Replayer, "lastError">;
  };
  readonly pendingMigrations: () => Promise<number>;
  readonly isEmbedded: boolean;
}

/** One look is good for so long, in milliseconds, however often it is asked. */
const freshFor = 1_000;
const deadline = 3_000;

/** Says what can be served, by trying it. */
export class Readiness {
  readonly #options: ReadinessOptions;
  #isStopping = false;
  #look: Promise<ReadinessReport> | null = null;
  #until = 0;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** From now on nothing is served any more. */
  stopping(): void {
    this.#isStopping = true;
  }

  async report(): Promise<ReadinessReport> {
    if (!this.#look || performance.now() > this.#until) {
      this.#until = Number.POSITIVE_INFINITY;
      this.#look = this.#lookNow().finally(() => (this.#until = performance.now() + freshFor));
    }
    const report = await this.#look;
    return this.#isStopping
      ? { ...report, status: "unavailable", parts: { ...report.parts, process: stopping } }
      : report;
  }

  async #lookNow(): Promise<ReadinessReport> {
    const { probes, reader, isEmbedded } = this.#options;
    const [database, log, readerPart, migrations, partitions, spool] = await Promise.all([
      tried(() => probes.query("select 1"), "Nothing can be served"),
      tried(() => tryToWrite(probes), "The log can't be written: mutations answer AUDIT_UNAVAILABLE, reads go on"),
      tried(() => reader.query("select 1"), "The log can't be read: auditLogs and auditEntry answer UNAVAILABLE"),
      this.#migrations(),
      this.#partitions(),
      this.#spool(),
    ]);
    const process: ReadinessPart = { status: "ok" };
    const parts = { process, database, log, reader: readerPart, migrations, partitions, spool };
    const isReady = Object.values(parts).every(({ status }) => status === "ok");
    const status = database.status === "failed" ? "unavailable" : isReady ? "ready" : "degraded";
    return { status, auditing: "strict", database: isEmbedded ? "embedded" : "external", parts };
  }

  #migrations(): Promise<ReadinessPart> {
    return tried(async () => {
      const pending = await this.#options.pendingMigrations();
      const verb = pending === 1 ? "is" : "are";
      return pending > 0 ? `${String(pending)} ${verb} pending; start again with a login that may migrate.` : null;
    }, "Which are pending can't be told");
  }

  #spool(): Promise<ReadinessPart> {
    const { spool, replayer } = this.#options.spooling;
    return tried(async () => {
      const { entries, since } = spool.state;
      const why = replayer.lastError === null ? "" : ` (${reasonOf(replayer.lastError)})`;
      const file = await spool.attention();
      const found = [
        ...(since === null ? [] : [`${String(entries)} entries wait since ${since} for the log to be written${why}.`]),
        ...(file === null ? [] : [`Lines that can't become entries are in ${file}: look at them, then move it away.`]),
      ];
      return found.length === 0 ? null : found.join(" ");
    }, "What waits for the log can't be told");
  }

  #partitions(): Promise<ReadinessPart> {
    const { reader, upkeep } = this.#options;
    return tried(async () => {
      if (upkeep.lastError !== null) return `They aren't kept ahead (${upkeep.lastError}).`;
      const isFilled = await hasStrays(reader);
      return isFilled
        ? "Entries are in the DEFAULT partition; the daily upkeep, or a start, makes it their month's."
        : null;
    }, "Where entries are can't be told");
  }
}

const failed = (detail: string): ReadinessPart => ({ status: "failed", detail });
const stopping = failed("It is stopping.");

/** Looks, within the deadline. @param look answers what is wrong as a sentence, or throws */
async function tried(look: () => Promise<unknown>, otherwise: string): Promise<ReadinessPart> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LateError());
    }, deadline);
  });
  try {
    const found = await Promise.race([look(), late]);
    return typeof found === "string" ? failed(found) : { status: "ok" };
  } catch (error) {
    return failed(`${otherwise} (${reasonOf(error)}).`);
  } finally {
    clearTimeout(timer);
  }
}

class LateError extends Error {}

function reasonOf(error: unknown): string {
  if (error instanceof LateError) return `no answer within ${String(deadline / 1_000)} s`;
  return codeOf(error) ?? "for an unknown reason";
}

const probe = `insert into audit.entry
  (tenant_id, format_version, actor_type, subsystem, event_type, outcome, changes, attempted, ordinal, salts)
  values ('$platform', 1, 'SYSTEM', 'readiness', 'readiness.probed', 'SUCCESS', '[]', '[]', 0, $1)`;
/** Sixteen for each of the ten fixed places. */
const saltBytes = 160;

/** Writes an entry as mutations do, and takes it back. */
function tryToWrite(pool: pg.Pool): Promise<void> {
  return onConnection(pool, async (client) => {
    await client.query("begin");
    await client.query(probe, [Buffer.alloc(saltBytes)]);
    await client.query("rollback");
  });
}

/** Entries outside all months' partitions are in DEFAULT: these bounds reach no other. As texts, ids have one order too. */
const strays = `
  with bounds as (
    select min(bound.ids[1])::uuid as lowest, max(bound.ids[2])::uuid as highest
    from pg_inherits join pg_class on pg_class.oid = inhrelid
      cross join lateral regexp_match(pg_get_expr(relpartbound, pg_class.oid), 'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)')
        as bound (ids)
    where inhparent = 'audit.entry'::regclass
  )
  select exists (select from audit.entry where id < (select lowest from bounds))
      or exists (select from audit.entry where id >= (select highest from bounds)) as found`;

function hasStrays(reader: pg.Pool): Promise<boolean> {
  return onConnection(reader, async (client) => {
    await client.query("begin read only");
    await client.query("select set_config('audit.tenants', '*', true)");
    const { rows } = await client.query<{ found: boolean }>(strays);
    await client.query("commit");
    return rows[0]?.found ?? false;
  });
}
