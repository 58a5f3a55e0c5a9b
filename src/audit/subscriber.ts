import type { PoolClient } from "pg";
import type {
  EntityMetadata,
  EntitySubscriberInterface,
  InsertEvent,
  QueryRunner,
  RecoverEvent,
  RemoveEvent,
  SoftRemoveEvent,
  TransactionCommitEvent,
  TransactionRollbackEvent,
  TransactionStartEvent,
  UpdateEvent,
} from "typeorm";
import { leavesOutcomeOpen } from "./end-transaction.js";
import { AuditError } from "./errors.js";
import { isOfConnection } from "./may-be-committed.js";
import type { AuditObserver } from "./observer.js";
import type { Registry } from "./registry.js";
import { scopeOf, type AuditScope } from "./scope.js";
import { writeStaged, type StagedEntry } from "./write-staged.js";

/**
 * Writes the scope's entries as the last statement of its transaction, and refuses what TypeORM's listeners see of
 * writes outside one. It fails closed: what it can't write rolls the operation back.
 *
 * The last INSERT and COMMIT are one message: where the server refuses the INSERT, it never comes to COMMIT.
 *
 * Push an instance to `dataSource.subscribers` after `initialize()`: a class given in the options is dropped silently.
 *
 * @example
 * dataSource.subscribers.push(new AuditSubscriber(new Registry(resources, dataSource), observer));
 */
export class AuditSubscriber implements EntitySubscriberInterface {
  readonly #registry: Registry;
  readonly #observer: AuditObserver;

  constructor(registry: Registry, observer: AuditObserver) {
    this.#registry = registry;
    this.#observer = observer;
  }

  afterTransactionStart({ queryRunner }: TransactionStartEvent): void {
    const scope = scopeOf(queryRunner);
    if (scope) scope.depth += 1;
  }

  async beforeTransactionCommit({ queryRunner }: TransactionCommitEvent): Promise<void> {
    const scope = scopeOf(queryRunner);
    // A savepoint's release is no commit.
    if (!scope || scope.depth > 1 || scope.exempt) return;
    if (scope.staged === null)
      throw new Error("The resolver committed the operation's own transaction: leave that to the wrapper.");
    if (scope.staged.length > 0) scope.finish = await this.#write(scope, scope.staged);
    else scope.entryIds = [];
  }

  afterTransactionCommit({ queryRunner }: TransactionCommitEvent): void {
    const scope = scopeOf(queryRunner);
    if (!scope) return;
    scope.depth -= 1;
    scope.released();
  }

  afterTransactionRollback({ queryRunner }: TransactionRollbackEvent): void {
    const scope = scopeOf(queryRunner);
    if (!scope) return;
    scope.depth -= 1;
    scope.rolledBack();
  }

  beforeInsert({ metadata, queryRunner }: InsertEvent<object>): void {
    this.#guard(metadata, queryRunner, null);
  }

  beforeUpdate({ metadata, queryRunner, updatedColumns, entity }: UpdateEvent<object>): void {
    // Only save() knows the columns; update() and the query builder give the values that they set.
    const fields =
      updatedColumns.length > 0 ? updatedColumns.map((column) => column.propertyPath) : Object.keys(entity ?? {});
    this.#guard(metadata, queryRunner, fields);
  }

  beforeRemove({ metadata, queryRunner }: RemoveEvent<object>): void {
    this.#guard(metadata, queryRunner, null);
  }

  beforeSoftRemove({ metadata, queryRunner }: SoftRemoveEvent<object>): void {
    this.#guard(metadata, queryRunner, null);
  }

  beforeRecover({ metadata, queryRunner }: RecoverEvent<object>): void {
    this.#guard(metadata, queryRunner, null);
  }

  #guard(metadata: EntityMetadata, queryRunner: QueryRunner, fields: readonly string[] | null): void {
    const resource = this.#registry.byEntity(metadata.target);
    if (!resource) return;
    const scope = scopeOf(queryRunner);
    if (!scope)
      throw new Error(
        `A write to ${resource.type} outside an audited operation: use the manager of the resolver's context, ` +
          `in a mutation with @audited.`,
      );
    scope.guard(metadata, fields);
  }

  async #write(scope: AuditScope, staged: readonly StagedEntry[]): Promise<() => Promise<void>> {
    const begun = performance.now();
    const done = () => {
      this.#observer.wrote((performance.now() - begun) / 1000);
    };
    const refused = (cause: unknown): unknown => {
      if (!isOfConnection(cause) || !leavesOutcomeOpen(scope, cause))
        this.#observer.writeFailed(
          cause,
          staged.map(({ entry }) => entry),
        );
      // Where the connection broke, COMMIT may have been carried out all the same; what the server itself refuses before
      // it has answered the INSERT, it never commits.
      return isOfConnection(cause) ? cause : cannotBeWritten(cause);
    };
    try {
      const client = (await scope.runner.connect()) as PoolClient;
      const finish = await writeStaged(client, staged);
      return async () => {
        scope.entryIds = await finish(refused).finally(done);
      };
    } catch (cause) {
      done();
      throw refused(cause);
    }
  }
}

function cannotBeWritten(cause: unknown): AuditError {
  const message = "The log can't be written, so nothing was changed. Try again later.";
  return new AuditError("AUDIT_UNAVAILABLE", message, { cause });
}
