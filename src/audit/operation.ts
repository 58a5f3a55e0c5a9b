import type { Pool, PoolClient } from "pg";
import type { DataSource, QueryRunner } from "typeorm";
import type { AfterCommit } from "./after-commit.js";
import type { AuditedField } from "./audited-field.js";
import { Comparison, type ComparedStates, type ComparisonGround } from "./comparison.js";
import { mutationContext, type AuditContext, type MutationContext } from "./context.js";
import { deepFreeze } from "./deep-freeze.js";
import { commit, rollBack, type Committed } from "./end-transaction.js";
import type { EntryTemplate } from "./entry-template.js";
import { AuditError, notFound } from "./errors.js";
import { lockPrior } from "./lock-prior.js";
import { afterLostCommit } from "./lost-commit.js";
import { AuditScope } from "./scope.js";
import { transactionOf, type RowLock, type Snapshot } from "./snapshot.js";
import type { TransactionMark } from "./transaction-mark.js";

/** What an operation runs on. */
export interface OperationGround extends ComparisonGround {
  readonly dataSource: DataSource;
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

export interface OperationResult extends Committed, ComparedStates {
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
      const prior = await this.#lockPrior(scope, lock);
      scope.transaction = transactionOf(prior);
      scope.phase = "resolving";
      const result = await whileConnected(runner, () => this.resolve(this.#resolverContext(scope, prior)));
      scope.seal();
      const comparison = new Comparison(this.ground, this.field, this.template, scope);
      const compared = await comparison.run(this.progress.ids, prior, result);
      scope.staged = compared.staged;
      lost.transaction = scope.transaction;
      lost.prepared = compared;
      const { response, staged } = compared;
      const { entryIds, complaint } = await commit(runner, scope);
      return { response, staged, entryIds, complaint, afterCommit: this.#afterCommit };
    } catch (error) {
      await rollBack(runner, scope, error);
      throw error;
    } finally {
      scope.close();
      await runner.release();
    }
  }

  /** Keeps what was found for a failure's entry, also where something is missing. */
  async #lockPrior(scope: AuditScope, lock: RowLock): Promise<ReadonlyMap<string, Snapshot | null>> {
    const { field, context, progress } = this;
    const { registry } = this.ground;
    const { runner, tenantId } = scope;
    const prior = await lockPrior({ registry, field, caller: context.caller, tenantId, runner, lock }, progress.ids);
    if (prior.size === 0) return prior;
    progress.prior = prior;
    const mayBeGone = field.actions.includes("CREATE") || field.unchanged === "skipped";
    const gone = mayBeGone ? undefined : progress.ids.find((id) => !prior.get(id));
    if (gone !== undefined) throw notFound(field.resource.type, gone);
    for (const snapshot of prior.values()) if (snapshot) deepFreeze(snapshot.entity);
    return prior;
  }

  #resolverContext(scope: AuditScope, prior: ReadonlyMap<string, Snapshot | null>): MutationContext {
    const entities = [...prior.values()].map((snapshot) => snapshot?.entity ?? null);
    const given = this.progress.listed ? entities : (entities[0] ?? null);
    return mutationContext(this.context, scope, given, this.#afterCommit);
  }
}

/** What an operation has to tell where the answer to its COMMIT is lost. */
interface LostCommit {
  transaction: TransactionMark | null;
  prepared: ComparedStates | null;
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
  client.on("error", lose);
  try {
    return await Promise.race([work(), lost]);
  } finally {
    client.off("error", lose);
  }
}
