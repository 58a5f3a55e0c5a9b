import type { Pool } from "pg";
import { anonymous, nowhere, type StatedEntry } from "./entry.js";
import type { AuditObserver } from "./observer.js";
import { sessionEntry, type ProgramFacts, type SessionName } from "./session-entry.js";
import type { SessionProgress } from "./session.js";
import { insertEntries, inTransactionApart } from "./write-apart.js";

/** A session of this run with how far it has come. */
export interface HeardSession extends SessionName, Pick<SessionProgress, "taken" | "settled"> {
  /** Whether numbers were taken or settled since it was heard of last. */
  readonly hasMoved: boolean;
}

/** The rows of this program's sessions, and the entries that open and close them. */
export class SessionStore {
  /** All entries that may yet come are younger once every transaction has ended that ran when it was noted. */
  #noted: { readonly running: bigint; readonly floor: string } | null = null;

  /** @param pool of the API's login, apart from the operations' */
  constructor(
    private readonly pool: Pool,
    private readonly facts: ProgramFacts,
    private readonly observer: Pick<AuditObserver, "written">,
  ) {}

  /** Opens sessions, each with its entry, in one transaction. Of those that are open already nothing is written. */
  async open(sessions: readonly SessionName[]): Promise<void> {
    const { program, version, host } = this.facts;
    const values = [sessions.map(({ id }) => id), sessions.map(({ tenantId }) => tenantId), program, version, host];
    const text = "select audit_guard.open_sessions($1::uuid[], $2::text[], $3, $4, $5) as id";
    const told = { kind: "API", program, version, host };
    await this.#write(text, values, sessions, (session) =>
      sessionEntry("START", session, this.facts, { ...bySystem, told }),
    );
  }

  /** Closes sessions, each with its entry, in one transaction. Of those that are closed already nothing is written. */
  async close(sessions: readonly HeardSession[]): Promise<void> {
    const text = "select audit_guard.close_sessions($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[]) as id";
    await this.#write(text, progressOf(sessions), sessions, (session) => {
      const told = { taken: String(session.taken) };
      return sessionEntry("STOP", session, this.facts, { ...bySystem, told });
    });
  }

  /**
   * Notes how far sessions are, and which of their numbers have entries by now.
   *
   * @returns by its id, a digest of the settled numbers of a session that have none; nothing of one that lacks none
   */
  async hear(sessions: readonly HeardSession[], upTo: string | null): Promise<ReadonlyMap<string, string>> {
    const text = `select id, gap from audit_guard.hear_sessions($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[], $5)
      where gap is not null`;
    const { rows } = await this.pool.query<{ id: string; gap: string }>(text, [...progressOf(sessions), upTo]);
    return new Map(rows.map(({ id, gap }) => [id, gap]));
  }

  /** Looks for entries of sessions that nobody speaks for: the named ones', and those of runs that ended unheard. */
  async catchUp(ids: readonly string[], upTo: string | null): Promise<void> {
    await this.pool.query("select audit_guard.catch_up_sessions($1::uuid[], $2)", [ids, upTo]);
  }

  /** Finds the numbers that have entries from all of the session's entries again. */
  async derive(id: string): Promise<void> {
    await this.pool.query("select audit_guard.derive_session($1)", [id]);
  }

  /**
   * The id below which no further entry can come, as far as is known: asked again and again, it moves on as the
   * transactions end that ran before. Null until the first of them have.
   */
  async horizon(): Promise<string | null> {
    const { rows } = await this.pool.query<{ oldest: string; next: string; floor: string }>(selectHorizon);
    const [now] = rows;
    if (!now) return null;
    const safe = this.#noted && BigInt(now.oldest) >= this.#noted.running ? this.#noted.floor : null;
    if (safe !== null || this.#noted === null) this.#noted = { running: BigInt(now.next), floor: now.floor };
    return safe;
  }

  async #write<Named extends SessionName>(
    text: string,
    values: readonly unknown[],
    sessions: readonly Named[],
    entryOf: (session: Named) => StatedEntry,
  ): Promise<void> {
    const entries = await inTransactionApart(this.pool, async (client) => {
      const { rows } = await client.query<SessionName>(text, [...values]);
      const changed = new Set(rows.map(({ id }) => id));
      const staged = sessions.filter(({ id }) => changed.has(id)).map(entryOf);
      if (staged.length > 0) await insertEntries(client, staged);
      return staged;
    });
    if (entries.length > 0) this.observer.written(entries);
  }
}

// A transaction gets its number with its first write, an entry its id a moment before: what bounds a statement bounds that
// moment too.
const selectHorizon = `
  select pg_snapshot_xmin(pg_current_snapshot())::text as oldest, pg_snapshot_xmax(pg_current_snapshot())::text as next,
    audit.id_floor(clock_timestamp() - interval '15 seconds')::text as floor`;

const bySystem = {
  actor: { ...anonymous, type: "SYSTEM", subsystem: "sessions" },
  origin: nowhere,
  operation: null,
} as const;

const progressOf = (sessions: readonly HeardSession[]): unknown[] => [
  sessions.map(({ id }) => id),
  sessions.map(({ taken }) => String(taken)),
  sessions.map(({ settled }) => String(settled)),
  sessions.map(({ hasMoved }) => hasMoved),
];
