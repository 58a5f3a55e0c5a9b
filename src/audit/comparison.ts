import type { DataSource } from "typeorm";
import { valueAt, type AuditedField } from "./audited-field.js";
import { actionBetween, changesBetween } from "./changes.js";
import type { Change, ChangeAction } from "./entry.js";
import type { EntryTemplate } from "./entry-template.js";
import { AuditError } from "./errors.js";
import type { Registry } from "./registry.js";
import type { AuditedResource } from "./resource.js";
import type { AuditScope } from "./scope.js";
import { transactionOf, type Snapshot } from "./snapshot.js";
import { isSerializationFailure, sqlState } from "./sql-state.js";
import type { StagedEntry } from "./write-staged.js";

/** What states are compared with. */
export interface ComparisonGround {
  /** Sees only what others have committed. */
  readonly readDataSource: DataSource;
  readonly registry: Registry;
}

/** What came of an operation's rows. */
export interface ComparedStates {
  /** The fresh entities, where the field's type is the resource's; else what the resolver gave. */
  readonly response: unknown;
  /** An entry for each named id, then for each row that was touched; none of what is passed over. */
  readonly staged: readonly StagedEntry[];
}

/**
 * Reads an operation's rows again after its resolver, in the same transaction, and makes its entries of what became of
 * them. What the directive doesn't declare, or can't be told truly, throws: nothing of it stands then.
 */
export class Comparison {
  constructor(
    private readonly ground: ComparisonGround,
    private readonly field: AuditedField,
    private readonly template: EntryTemplate,
    private readonly scope: AuditScope,
  ) {}

  /**
   * @param named the ids that the arguments name; none where the id comes from the result
   * @param prior by id, what each was; null where nothing stood
   * @param result what the resolver gave
   */
  async run(
    named: readonly string[],
    prior: ReadonlyMap<string, Snapshot | null>,
    result: unknown,
  ): Promise<ComparedStates> {
    const ids = this.field.idFrom === "result" ? [await this.#bornId(result)] : named;
    const after = await this.#readAfter(this.field.resource, ids);
    this.scope.transaction ??= transactionOf(after);
    if (this.field.idFrom === "arguments") this.#checkResultIds(result, ids);
    const recorded = new Map<string, StagedEntry>();
    for (const id of ids) {
      const [before, now] = [prior.get(id) ?? null, after.get(id) ?? null];
      if (this.field.idFrom === "result" && now === null)
        throw new Error(`${this.field.name} returned the id of a row that isn't there: return the one it created.`);
      const entry = this.#entry(id, recorded.size, before, now);
      if (entry) recorded.set(id, { entry, causedBy: null });
    }
    const caused = await this.#compareTouched(ids, [...recorded.keys()]);
    await this.#checkLapsed(ids);
    const entities = ids.map((id) => (after.get(id) ?? prior.get(id))?.entity ?? null);
    const fresh = this.field.returnsList ? entities : (entities[0] ?? null);
    return { response: this.field.returnsResource ? fresh : result, staged: [...recorded.values(), ...caused] };
  }

  /** What can't be read again can't be told truly: it doesn't stand. */
  async #readAfter(resource: AuditedResource, ids: readonly string[]) {
    const { runner, tenantId } = this.scope;
    try {
      return await this.ground.registry.reader(resource).read(runner, tenantId, ids);
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
  async #compareTouched(ids: readonly string[], recorded: readonly string[]): Promise<StagedEntry[]> {
    const named = new Set(ids.map((id) => `${this.field.resource.type}\n${id}`));
    const touched = this.scope.touched.filter(({ resource, id }) => !named.has(`${resource.type}\n${id}`));
    const staged: StagedEntry[] = [];
    for (const resource of new Set(touched.map((it) => it.resource))) {
      const rows = touched.filter((it) => it.resource === resource);
      const after = await this.#readAfter(
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
  async #checkLapsed(ids: readonly string[]): Promise<void> {
    for (const { resource, id, prior } of this.scope.lapsed) {
      if (resource === this.field.resource && ids.includes(id)) continue;
      const now = (await this.#readAfter(resource, [id])).get(id) ?? null;
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
      const reader = this.ground.registry.reader(this.field.resource);
      const stood = await reader.read(elsewhere, this.scope.tenantId, [id]);
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

/** Whether nothing became of a row: it is as it was, or was never there. */
function isUnchanged(before: Snapshot | null, after: Snapshot | null, changes: readonly Change[]): boolean {
  const action = actionBetween(before, after);
  return action === null || (action === "UPDATE" && changes.length === 0);
}
