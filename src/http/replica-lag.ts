import { Kind, type DocumentNode, type OperationDefinitionNode, type SelectionSetNode } from "graphql";
import type { AuditLog } from "../audit/read/resolver.js";

/** What is read by the reader's login, on a replica where one is configured. */
const logFields: ReadonlySet<string> = new Set(["auditLogs", "auditEntry"]);
/** How long an answer is good for: a replica's, and that the database is no replica. */
const freshMilliseconds = 1_000;
const settledMilliseconds = 30_000;

/** How far behind the log that a response was read from is. */
export class ReplicaLag {
  #known: Promise<number | null> | null = null;
  #until = 0;

  constructor(private readonly log: Pick<AuditLog, "lag">) {}

  /** Seconds; null where the log wasn't read, isn't read from a replica, or it can't be told. */
  async of(operation: OperationDefinitionNode, document: DocumentNode | undefined): Promise<number | null> {
    return readsLog(operation.selectionSet, document) ? this.#now() : null;
  }

  #now(): Promise<number | null> {
    if (this.#known && performance.now() < this.#until) return this.#known;
    this.#until = performance.now() + freshMilliseconds;
    this.#known = this.log.lag().then(
      (lag) => {
        if (lag === null) this.#until = performance.now() + settledMilliseconds;
        return lag;
      },
      () => null,
    );
    return this.#known;
  }
}

function readsLog(selectionSet: SelectionSetNode, document: DocumentNode | undefined): boolean {
  return selectionSet.selections.some((selection) => {
    if (selection.kind === Kind.FIELD) return logFields.has(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) return readsLog(selection.selectionSet, document);
    const fragment = document?.definitions.find(
      (node) => node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === selection.name.value,
    );
    return fragment?.kind === Kind.FRAGMENT_DEFINITION && readsLog(fragment.selectionSet, document);
  });
}
