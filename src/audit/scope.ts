import type { EntityMetadata, QueryRunner } from "typeorm";
import { deepFreeze } from "./deep-freeze.js";
import { AuditError } from "./errors.js";
import type { AuditedResource } from "./resource.js";
import type { RowLock, Snapshot } from "./snapshot.js";
import type { Registry } from "./registry.js";
import type { TransactionMark } from "./transaction-mark.js";
import type { StagedEntry } from "./write-staged.js";

/** Rows that an operation changes beside those its arguments name, with what they were. */
interface Touched {
  readonly resource: AuditedResource;
  readonly id: string;
  readonly prior: Snapshot | null;
  /** The named id that brings it about. */
  readonly cause: string | null;
  depth: number;
}

/** How many rows one operation may change beside those its arguments name. */
const MAX_TOUCHED = 1_000;

const scopes = new WeakMap<QueryRunner, AuditScope>();

/** The scope of the transaction that runs on this connection, if there is one. */
export const scopeOf = (runner: QueryRunner): AuditScope | undefined => scopes.get(runner);

/**
 * The open audited operation of one transaction. A resolver uses it to say what else it is about to change; the wrapper
 * stages the entries in it; the subscriber writes them before the commit.
 */
export class AuditScope {
  /** Savepoints count; the wrapper's own transaction is 1. Kept by the subscriber. */
  depth = 0;
  /** Set by the wrapper once every entry is staged: nothing commits before. */
  staged: readonly StagedEntry[] | null = null;
  /** Set by the subscriber: writes the entries and commits, in COMMIT's place. */
  finish: (() => Promise<void>) | null = null;
  /** Of the entries that are committed, in the order of the staged. */
  entryIds: readonly string[] | null = null;

  /** The operation's transaction, once anything was read with a lock or after a change. */
  transaction: TransactionMark | null = null;

  /** From here on a broken connection leaves open what became of the operation. */
  commitSent = false;
  /** Who may send statements: the wrapper, the resolver, or nobody any more but for the end of the transaction. */
  phase: "opening" | "resolving" | "sealed" | "ending" = "opening";

  /** Statements that were begun and haven't been answered. */
  #underWay = 0;
  readonly #touched = new Map<string, Touched>();
  /** Touched in a savepoint that was rolled back. */
  readonly #lapsed = new Map<string, Touched>();

  private constructor(
    readonly runner: QueryRunner,
    readonly tenantId: string,
    private readonly registry: Registry,
    private readonly lock: RowLock,
    /** An `@unaudited` mutation's: no entry, and nothing but ignored fields may change. */
    readonly exempt: boolean,
    /** The audited resource that the operation's directive names. */
    private readonly own: AuditedResource | null,
  ) {}

  static open(
    runner: QueryRunner,
    tenantId: string,
    registry: Registry,
    options: { readonly lock?: RowLock; readonly exempt?: boolean; readonly resource?: AuditedResource } = {},
  ): AuditScope {
    const scope = new AuditScope(
      runner,
      tenantId,
      registry,
      options.lock ?? "for no key update",
      options.exempt ?? false,
      options.resource ?? null,
    );
    scopes.set(runner, scope);
    scope.#watchStatements();
    return scope;
  }

  /** Every statement of TypeORM's goes through here. A subscriber would see them too, at thrice the cost. */
  #watchStatements(): void {
    const { runner } = this;
    const query = runner.query.bind(runner);
    runner.query = (...statement: Parameters<QueryRunner["query"]>) => {
      this.#allow(statement[0]);
      if (this.finish && statement[0] === "COMMIT") return this.finish();
      this.#underWay += 1;
      return query(...statement).finally(() => (this.#underWay -= 1));
    };
  }

  /**
   * Ends the resolver's part: what comes later would be in the row and not in the entry. So would be what it began and
   * didn't wait for, which may reach the database after the second look.
   */
  seal(): void {
    if (this.#underWay > 0)
      throw new Error("The resolver returned before its statements were done: await all that the resolver begins.");
    this.phase = "sealed";
  }

  close(): void {
    scopes.delete(this.runner);
  }

  /**
   * Locks, reads and freezes further rows that the resolver is about to change, such as children: what becomes of them
   * is recorded with entries of their own. Ids that no row has may be given where the resolver creates them.
   *
   * @param cause the named id that brings it about; the operation's first where it isn't said
   * @returns the entities of the rows that stand, frozen, in the order of the ids given
   * @throws AuditError LIMIT_EXCEEDED beyond a thousand rows
   */
  async touch<Entity extends object>(
    resource: AuditedResource<Entity>,
    ids: readonly string[],
    cause: string | null = null,
  ): Promise<Entity[]> {
    const fresh = [...new Set(ids)].filter((id) => !this.#touched.has(keyOf(resource, id)));
    if (this.#touched.size + fresh.length > MAX_TOUCHED)
      throw new AuditError(
        "LIMIT_EXCEEDED",
        `This would change more than ${String(MAX_TOUCHED)} further resources in one operation; split it.`,
      );
    const reader = this.registry.reader(resource);
    const found = await reader.read(this.runner, this.tenantId, fresh, "all", this.lock);
    for (const id of fresh) {
      const prior = found.get(id) ?? null;
      deepFreeze(prior?.entity);
      this.#touched.set(keyOf(resource, id), { resource, id, prior, cause, depth: this.depth });
    }
    return [...new Set(ids)].flatMap((id) => {
      const prior = this.#touched.get(keyOf(resource, id))?.prior;
      return prior ? [prior.entity as Entity] : [];
    });
  }

  get touched(): readonly Omit<Touched, "depth">[] {
    return [...this.#touched.values()];
  }

  /** What was touched in a savepoint that was rolled back, and not again since: nothing may have come of it. */
  get lapsed(): readonly Omit<Touched, "depth">[] {
    return [...this.#lapsed].filter(([key]) => !this.#touched.has(key)).map(([, touched]) => touched);
  }

  /** A savepoint's work became its parent's. */
  released(): void {
    for (const touched of this.#touched.values()) touched.depth = Math.min(touched.depth, this.depth);
  }

  /** A savepoint was rolled back, and with it went the locks taken since: what they covered may change again. */
  rolledBack(): void {
    for (const [key, touched] of this.#touched) {
      if (touched.depth <= this.depth) continue;
      this.#touched.delete(key);
      this.#lapsed.set(key, touched);
    }
  }

  /** Refuses a statement that comes too late to be seen by the comparison, or that would cut the transaction short. */
  #allow(statement: string): void {
    if (this.phase === "opening") return;
    // Behind the ROLLBACK it would stand on its own.
    if (this.phase === "ending" && !/^ROLLBACK\b/.test(statement))
      throw new Error(
        "A statement after the operation failed: await all that the resolver begins, also where it throws.",
      );
    if (this.phase === "sealed" && statement === "COMMIT") {
      if (!this.exempt && this.finish === null && this.staged?.length !== 0)
        throw new Error("The entries weren't written: is the audit subscriber there, and only once?");
      this.commitSent = true;
    } else if (this.phase === "sealed" && statement !== "ROLLBACK")
      throw new Error("A statement after the operation's end: await all that the resolver begins.");
    if (this.phase === "resolving" && (controlsTransaction.test(statement) || endsTransaction.test(statement)))
      throw new Error("The operation's own transaction is the wrapper's to end: leave that to it.");
  }

  /** Refuses a write that the operation's kind doesn't allow; `fields` are those that change. */
  guard(metadata: EntityMetadata, fields: readonly string[] | null): void {
    const resource = this.registry.byEntity(metadata.target);
    if (!resource) return;
    if (!this.exempt) {
      if (resource === this.own || this.touched.some((touched) => touched.resource === resource)) return;
      throw new Error(
        `This operation is one on ${this.own?.type ?? "nothing"}: before it writes to ${resource.type}, ` +
          `\`await context.scope.touch(…, ids)\` says which of them.`,
      );
    }
    const recorded = fields?.filter((field) => resource.fields[field]?.kind !== "ignore") ?? ["the whole row"];
    if (recorded.length > 0)
      throw new Error(
        `An @unaudited mutation may change only ignored fields of ${resource.type}, not ${recorded.join(", ")}: ` +
          `annotate it with @audited.`,
      );
  }
}

/** What ends the transaction that the entry is part of, or begins another. Savepoints are the resolver's own. */
const controlsTransaction = /^\s*(?:begin|start|commit|end|abort|rollback(?!\s+to\b)|prepare\s+transaction)\b/i;

/** The same behind another statement, but for what may stand in a function's body. */
const endsTransaction = /;\s*(?:commit|abort|rollback(?!\s+to\b)|start\s+transaction|prepare\s+transaction)\b/i;

const keyOf = (resource: AuditedResource<never> | AuditedResource, id: string): string => `${resource.type}\n${id}`;
