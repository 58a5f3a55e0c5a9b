import type { Pool, PoolClient } from "pg";
import type { DataSource, QueryRunner } from "typeorm";
import { actionBetween, changesBetween } from "./changes.js";
import type { AuditedField } from "./audited-field.js";
import { valueAt } from "./audited-field.js";
import type { AfterCommit } from "./after-commit.js";
import { mutationContext, type AuditContext, type MutationContext } from "./context.js";
import type { Change, ChangeAction } from "./entry.js";
import { commit, rollBack, type Committed } from "./end-transaction.js";
import { AuditError, badUserInput, notFound, printable } from "./errors.js";
import { afterLostCommit } from "./lost-commit.js";
import type { EntryTemplate } from "./entry-template.js";
import type { Registry } from "./registry.js";
import { deepFreeze } from "./deep-freeze.js";
import { AuditScope } from "./scope.js";
import type { AuditedResource, Visibility } from "./resource.js";
import type { Snapshot } from "./snapshot.js";
import type { TransactionMark } from "./transaction-mark.js";
import { isSerializationFailure, sqlState } from "./translate-error.js";
import type { StagedEntry } from "./write-staged.js";

/** What an operation runs on. */
export interface OperationGround {
  readonly dataSource: DataSource;
  /** Sees only what others have committed. */
  readonly readDataSource: DataSource;
  readonly registry: Registry;
  /** Connections of their own, on which the outcome is asked for where the answer to COMMIT was lost. */
  readonly outcomes?: Pool;
}

/** What an operation knows so far; a failure's entry is made of it. */
export interface OperationProgress {
  /** Whether the argument is a list, and so the resolver's prior state too. */
  listed: boolean;
  /** Empty until the arguments' ids were found good; stays so where the id comes from the result. */
  ids: readonly string[];
  /** By id, null where nothing stood; undefined until it was read. */
  prior: ReadonlyMap<string, Snapshot | null> | undefined;
}

export interface OperationResult extends Committed {
  readonly response: unknown;
  readonly staged: readonly StagedEntry[];
  readonly afterCommit: readonly AfterCommit[];
}

/**
 * One audited operation in one transaction: prior state with a row lock, resolver, state after, entries, commit.
 * Nothing of it stands unless all of it does.
 */
export class Operation {
  readonly #afterCommit: AfterCommit[] = [];
  readonly #tenantId: string;

  constructor(
    private readonly ground: OperationGround,
    private readonly field: AuditedField,
    private readonly context: AuditContext,
    private readonly template: EntryTemplate,
    private readonly progress: OperationProgress,
    private readonly resolve: (context: MutationContext) => unknown,
  ) {
    this.#tenantId = template.tenantId;
  }

  async run(): Promise<OperationResult> {
    const lost: LostCommit = { transaction: null, prepared: null };
    try {
      return await this.#inTransaction(lost);
    } catch (error) {
      const { outcomes } = this.ground;
      const { transaction, prepared } = lost;
      if (!(error instanceof AuditError && error.outcomeUnknown && outcomes && transaction && prepared)) throw error;
      // Nothing became of it either way.
      if (prepared.staged.length === 0)
        return { ...prepared, entryIds: [], complaint: null, afterCommit: this.#afterCommit };
      const place = { ...this.template.place, tenantId: this.#tenantId, ...transaction };
      const committed = await afterLostCommit(outcomes, place, prepared.staged, this.context.origin.requestId, error);
      return { ...prepared, ...committed, afterCommit: this.#afterCommit };
    }
  }

  async #inTransaction(lost: LostCommit): Promise<OperationResult> {
    const runner = this.ground.dataSource.createQueryRunner("master");
    const { resource } = this.field;
    const lock = this.field.actions.includes("DELETE") ? "for update" : "for no key update";
    const scope = AuditScope.open(runner, this.#tenantId, this.ground.registry, { lock, resource });
    try {
      await runner.connect();
      await runner.startTransaction();
      const prior = await this.#lockPrior(runner, lock);
      scope.transaction = transactionOf(prior);
      scope.phase = "resolving";
      const result = await whileConnected(runner, () => this.resolve(this.#resolverContext(scope, prior)));
      scope.seal();
      const { response, staged } = await this.#compare(scope, prior, result);
      scope.staged = staged;
      lost.transaction = scope.transaction;
      lost.prepared = { response, staged };
      return { response, staged, ...(await commit(runner, scope)), afterCommit: this.#afterCommit };
    } catch (error) {
      await rollBack(runner, scope, error);
      throw error;
    } finally {
      scope.close();
      await runner.release();
    }
  }

  async #lockPrior(runner: QueryRunner, lock: "for update" | "for no key update") {
    const { ids } = this.progress;
    if (ids.length === 0) return new Map<string, Snapshot | null>();
    const reader = this.ground.registry.reader(this.field.resource);
    const visibility = this.#visibility();
    const found = await reader.read(runner, this.#tenantId, ids, visibility, lock);
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length > 0 && this.field.actions.includes("CREATE")) {
      await lockAbsent(
        runner,
        missing.map((id) => JSON.stringify([this.#tenantId, this.field.resource.type, id])),
      );
      // Whoever held the lock before may have created it since; and what the caller may not see stands all the same.
      for (const [id, row] of await reader.read(runner, this.#tenantId, missing, visibility, lock)) found.set(id, row);
      await this.#refuseHidden(
        runner,
        visibility,
        ids.filter((id) => !found.has(id)),
      );
    }
    for (const id of found.keys()) if (!ids.includes(id)) throw otherSpelling(this.field, id);
    const prior = new Map(ids.map((id) => [id, found.get(id) ?? null]));
    this.progress.prior = prior;
    const mayBeGone = this.field.actions.includes("CREATE") || this.field.unchanged === "skipped";
    const gone = mayBeGone ? undefined : ids.find((id) => !found.has(id));
    if (gone !== undefined) throw notFound(this.field.resource.type, gone);
    for (const snapshot of found.values()) deepFreeze(snapshot.entity);
    return prior;
  }

  /** The system itself sees all of the tenant's; no token makes a caller the system. */
  #visibility(): Visibility<object> {
    const { caller } = this.context;
    return caller.actor.type === "SYSTEM" ? "all" : this.field.resource.visible(caller);
  }

  async #refuseHidden(runner: QueryRunner, visibility: Visibility<object>, missing: readonly string[]): Promise<void> {
    if (visibility === "all" || missing.length === 0) return;
    const hidden = await this.ground.registry.reader(this.field.resource).read(runner, this.#tenantId, missing);
    for (const id of hidden.keys()) throw notFound(this.field.resource.type, id);
  }

  #resolverContext(scope: AuditScope, prior: ReadonlyMap<string, Snapshot | null>): MutationContext {
    const entities = [...prior.values()].map((snapshot) => snapshot?.entity ?? null);
    const given = this.progress.listed ? entities : (entities[0] ?? null);
    return mutationContext(this.context, scope, given, this.#afterCommit);
  }

  async #compare(scope: AuditScope, prior: ReadonlyMap<string, Snapshot | null>, result: unknown) {
    const ids = this.field.idFrom === "result" ? [await this.#bornId(result)] : this.progress.ids;
    const after = await this.#readAfter(scope.runner, this.field.resource, ids);
    scope.transaction ??= transactionOf(after);
    if (this.field.idFrom === "arguments") this.#checkResultIds(result, ids);
    const named = new Map<string, StagedEntry>();
    for (const id of ids) {
      const [before, now] = [prior.get(id) ?? null, after.get(id) ?? null];
      if (this.field.idFrom === "result" && now === null)
        throw new Error(`${this.field.name} returned the id of a row that isn't there: return the one it created.`);
      const entry = this.#entry(id, named.size, before, now);
      if (entry) named.set(id, { entry, causedBy: null });
    }
    const caused = await this.#compareTouched(scope, ids, [...named.keys()]);
    await this.#checkLapsed(scope, ids);
    const entities = ids.map((id) => (after.get(id) ?? prior.get(id))?.entity ?? null);
    const fresh = this.field.returnsList ? entities : (entities[0] ?? null);
    return { response: this.field.returnsResource ? fresh : result, staged: [...named.values(), ...caused] };
  }

  /** What can't be read again can't be told truly: it doesn't stand. */
  async #readAfter(runner: QueryRunner, resource: AuditedResource, ids: readonly string[]) {
    try {
      return await this.ground.registry.reader(resource).read(runner, this.#tenantId, ids);
    } catch (cause) {
      if (isSerializationFailure(cause)) throw cause;
      if (sqlState(cause) === "25P02")
        throw new Error(
          "A statement failed, and its error was swallowed: rethrow it, or try what may fail in a savepoint, " +
            "`await manager.transaction(…)`.",
          { cause },
        );
      const message = "The state after the change can't be read for the log, so nothing was changed. Try again later.";
      throw new AuditError("AUDIT_UNAVAILABLE", message, { cause });
    }
  }

  /** Null where nothing became of the row and the work passes over such. */
  #entry(id: string, ordinal: number, before: Snapshot | null, after: Snapshot | null) {
    const changes = changesBetween(this.field.resource, before, after);
    if (this.field.unchanged === "skipped" && isUnchanged(before, after, changes)) return null;
    const action = this.#action(before, after);
    return this.template.success(this.field.resource, { id, before, after, action, changes, ordinal });
  }

  #action(before: Snapshot | null, after: Snapshot | null): ChangeAction {
    const seen = actionBetween(before, after);
    if (seen !== null && this.field.actions.includes(seen)) return seen;
    throw new Error(
      `${this.field.name} did ${seen ?? "nothing"} to a ${this.field.resource.type}, which it doesn't declare: ` +
        `declare the action, or mend the resolver.`,
    );
  }

  /** @param recorded those of the named ids that leave an entry, in its order */
  async #compareTouched(scope: AuditScope, ids: readonly string[], recorded: readonly string[]) {
    const named = new Set(ids.map((id) => `${this.field.resource.type}\n${id}`));
    const touched = scope.touched.filter(({ resource, id }) => !named.has(`${resource.type}\n${id}`));
    const staged: StagedEntry[] = [];
    for (const resource of new Set(touched.map((it) => it.resource))) {
      const rows = touched.filter((it) => it.resource === resource);
      const after = await this.#readAfter(
        scope.runner,
        resource,
        rows.map(({ id }) => id),
      );
      for (const { id, prior: before, cause } of rows) {
        const now = after.get(id) ?? null;
        const changes = changesBetween(resource, before, now);
        const action = actionBetween(before, now);
        if (action === null || isUnchanged(before, now, changes)) continue;
        const ordinal = recorded.length + staged.length;
        const entry = this.template.success(resource, { id, before, after: now, action, changes, ordinal });
        const causing = ids[cause === null ? 0 : Math.max(0, ids.indexOf(cause))] ?? "";
        staged.push({ entry, causedBy: recorded.includes(causing) ? recorded.indexOf(causing) : null });
      }
    }
    return staged;
  }

  /** A row whose lock went with a savepoint may have changed since; if it did, nobody can say by whom. */
  async #checkLapsed(scope: AuditScope, ids: readonly string[]): Promise<void> {
    for (const { resource, id, prior } of scope.lapsed) {
      if (resource === this.field.resource && ids.includes(id)) continue;
      const now = (await this.#readAfter(scope.runner, resource, [id])).get(id) ?? null;
      if (isUnchanged(prior, now, changesBetween(resource, prior, now))) continue;
      throw new Error(`${resource.type} ${id} was touched in a savepoint that was rolled back: touch it once more.`);
    }
  }

  /** The id of what the call gave birth to. A row that others saw before was not born here. */
  async #bornId(result: unknown): Promise<string> {
    const id = valueAt(result, this.field.idPath);
    if (typeof id !== "string" || id === "")
      throw new Error(`${this.field.name} returned no ${["result", ...this.field.idPath].join(".")}.`);
    const elsewhere = this.ground.readDataSource.createQueryRunner("master");
    try {
      const stood = await this.ground.registry.reader(this.field.resource).read(elsewhere, this.#tenantId, [id]);
      if (stood.size > 0)
        throw new Error(`${this.field.name} returned a ${this.field.resource.type} that stood before it.`);
    } finally {
      await elsewhere.release();
    }
    return id;
  }

  #checkResultIds(result: unknown, ids: readonly string[]): void {
    if (!this.field.returnsResource) return;
    for (const entity of Array.isArray(result) ? result : [result]) {
      const id = valueAt(entity, [this.field.resource.idField]);
      if (typeof id === "string" && !ids.includes(id))
        throw new Error(`${this.field.name} returned ${id}, which its arguments don't name.`);
    }
  }
}

/** What an operation has to tell where the answer to its COMMIT is lost. */
interface LostCommit {
  transaction: TransactionMark | null;
  prepared: Pick<OperationResult, "response" | "staged"> | null;
}

function transactionOf(snapshots: ReadonlyMap<string, Snapshot | null>): TransactionMark | null {
  for (const snapshot of snapshots.values()) if (snapshot?.transaction) return snapshot.transaction;
  return null;
}

/**
 * Waits for the work as long as the connection lasts: the database ends one whose transaction does nothing for too long,
 * and so work that would wait for ever.
 */
async function whileConnected(runner: QueryRunner, work: () => unknown): Promise<unknown> {
  const client = (await runner.connect()) as PoolClient;
  let lose: (error: Error) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => {
    lose = reject;
  });
  client.once("error", lose);
  try {
    return await Promise.race([work(), lost]);
  } finally {
    client.off("error", lose);
  }
}

/** Whether nothing became of a row: it is as it was, or was never there. */
function isUnchanged(before: Snapshot | null, after: Snapshot | null, changes: readonly Change[]): boolean {
  const action = actionBetween(before, after);
  return action === null || (action === "UPDATE" && changes.length === 0);
}

/** The column takes other spellings of an id than the one that it prints, by which alone its entries can be found. */
const otherSpelling = ({ idPath }: AuditedField, id: string) =>
  badUserInput([{ field: idPath.join("."), message: `must be spelt as ${printable(id)}` }]);

/** A row lock holds nothing where no row stands; these hold the places of rows to come, in one order for all. */
async function lockAbsent(runner: QueryRunner, keys: readonly string[]): Promise<void> {
  const client = (await runner.connect()) as PoolClient;
  await client.query({
    name: "audit:lock-absent",
    text: `select pg_advisory_xact_lock(hashtextextended(key, 0))
           from (select key from unnest($1::text[]) as key order by key offset 0) as ordered`,
    values: [keys],
  });
}
