import type { EntityManager } from "typeorm";
import type { AfterCommit } from "./after-commit.js";
import type { Actor, Correlation, RequestOrigin } from "./entry.js";
import type { AuditScope } from "./scope.js";

/** Who calls, as the token says. */
export interface Caller {
  readonly actor: Actor;
  /** Null where the caller belongs to none. */
  readonly tenantId: string | null;
  /** The person whom it is about: `sub`, also where a service acts. What one owns is one's subject's. */
  readonly subject: string | null;
  readonly roles: ReadonlySet<string>;
}

/** What one audited field left in the log; the response gives them in `extensions.audit`. */
export interface OperationReport {
  readonly path: readonly (string | number)[];
  readonly entryIds: readonly string[];
  readonly sessionId: string;
  readonly sequenceNumber: string;
}

/** What every resolver of a GraphQL server that audits finds in its context. */
export interface AuditContext {
  readonly caller: Caller;
  readonly origin: RequestOrigin;
  /** Where the request says, and may be believed, that another process tells of it. */
  readonly correlation?: Correlation | null;
  /** Can only read: a write through it is refused by the database. */
  readonly manager: EntityManager;
  /** Filled by the wrapper, read when the response is sent. */
  readonly reports: OperationReport[];
}

/** What a mutation's resolver finds instead: the transaction that its entry is part of. */
export interface MutationContext<Prior = unknown> extends AuditContext {
  /** This transaction's; the resolver has no other way to the database. */
  readonly manager: EntityManager;
  /**
   * The state before, locked and frozen: the entity, or a list of them in the order of the ids where the argument is a
   * list. Null only where CREATE is declared and nothing stands yet.
   */
  readonly prior: Prior;
  readonly scope: AuditScope;
  /** Runs once the transaction has been committed, never before and never after a rollback. */
  readonly afterCommit: (work: AfterCommit) => void;
}

/** A resolver's own context: the request's is also that of aliases and nested fields, which run after the commit. */
export function mutationContext(
  context: AuditContext,
  scope: AuditScope,
  prior: unknown,
  waiting: AfterCommit[],
): MutationContext {
  return Object.create(context, {
    manager: { value: scope.runner.manager, enumerable: true },
    prior: { value: prior, enumerable: true },
    scope: { value: scope, enumerable: true },
    afterCommit: { value: (work: AfterCommit) => void waiting.push(work), enumerable: true },
  }) as MutationContext;
}
