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
import { sqlState } from "./translate-error.js";
import { sendStaged, type StagedEntry, type Writing } from "./write-staged.js";

/**
 * Writes the scope's entries as the last statement of its transaction, and refuses what TypeORM's listeners see of
 * writes outside one. It fails closed: what it can't write rolls the operation back.
 *
 * Where the connection pipelines, COMMIT goes out behind the INSERT without waiting for its answer. Behind a refused
 * INSERT the server makes a ROLLBACK of it, and says so to nobody: the INSERT's own answer decides, `scope.writing.ids`.
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
    scope.writing = await this.#send(scope, scope.staged);
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

  async #send(scope: AuditScope, staged: readonly StagedEntry[]): Promise<Writing> {
    const begun = performance.now();
    const entries = staged.map(({ entry }) => entry);
    const fail = (cause: unknown): never => {
      this.#observer.writeFailed(cause, entries);
      // Where the connection broke, COMMIT may have been carried out all the same.
      throw sqlState(cause) === null ? cause : cannotBeWritten(cause);
    };
    const done = () => {
      this.#observer.wrote((performance.now() - begun) / 1000);
    };
    try {
      const client = (await scope.runner.connect()) as PoolClient;
      writeTogether(client);
      const { ids } = await sendStaged(client, staged);
      const checked = ids.catch(fail).finally(done);
      checked.catch(() => undefined);
      return { ids: checked };
    } catch (cause) {
      done();
      return fail(cause);
    }
  }
}

/** Has the INSERT and the COMMIT behind it leave as one packet: each by its own wakes the server's process once more. */
function writeTogether({ connection: { stream } }: PoolClient): void {
  stream.cork();
  // After the promises that are settled by now, COMMIT's among them.
  process.nextTick(() => {
    stream.uncork();
  });
}

function cannotBeWritten(cause: unknown): AuditError {
  const message = "The log can't be written, so nothing was changed. Try again later.";
  return new AuditError("AUDIT_UNAVAILABLE", message, { cause });
}
