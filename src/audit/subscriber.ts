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
import { AuditError } from "./errors.js";
import type { AuditObserver } from "./observer.js";
import type { Registry } from "./registry.js";
import { scopeOf, type AuditScope } from "./scope.js";
import { writeStaged, type StagedEntry } from "./write-staged.js";

/**
 * Writes the scope's entries as the last statement of its transaction, and refuses what TypeORM's listeners see of
 * writes outside one. It fails closed: what it can't write rolls the operation back. Since the INSERT comes last and
 * succeeds only in a sound transaction, COMMIT can't silently become a ROLLBACK behind it.
 *
 * Push an instance to `dataSource.subscribers` after `initialize()`: a class given in the options is dropped silently.
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
    scope.entryIds = await this.#write(scope, scope.staged);
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

  async #write(scope: AuditScope, staged: readonly StagedEntry[]): Promise<string[]> {
    const client = (await scope.runner.connect()) as PoolClient;
    const begun = performance.now();
    try {
      return await writeStaged(client, staged);
    } catch (cause) {
      this.#observer.writeFailed(
        cause,
        staged.map(({ entry }) => entry),
      );
      throw new AuditError("AUDIT_UNAVAILABLE", "The log can't be written, so nothing was changed. Try again later.", {
        cause,
      });
    } finally {
      this.#observer.wrote((performance.now() - begun) / 1000);
    }
  }
}
