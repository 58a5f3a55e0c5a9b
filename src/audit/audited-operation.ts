import type { AfterCommit } from "./after-commit.js";
import { auditedCall } from "./audited-call.js";
import type { AuditRuntime } from "./audit-runtime.js";
import type { AuditedField } from "./audited-field.js";
import type { AuditContext, MutationContext } from "./context.js";
import { anonymous, nowhere, tenantPattern, type ChangeAction } from "./entry.js";
import type { AuditedResource } from "./resource.js";

/** What background work is about to do. */
export interface BackgroundOperation<Entity extends object> {
  readonly tenantId: string;
  readonly resource: AuditedResource<Entity>;
  /** What may become of the rows; which it was follows from the states before and after. */
  readonly action: ChangeAction | readonly ChangeAction[];
  /** 1 to 100; those of rows that it creates are the caller's to choose. */
  readonly ids: readonly string[];
  /** The part of the system that acts, such as `chat_auto_archive`. */
  readonly actor: { readonly type: "SYSTEM"; readonly subsystem: string };
  /**
   * What becomes of an id whose row is gone when it comes to be locked, or is the same afterwards. `recorded`, as in a
   * mutation: the one is NOT_FOUND, and a FAILURE of all; the other leaves an entry without changes. `skipped`: neither
   * leaves anything, which suits work that looked for its rows a while ago. Only where the database broke up a try that
   * had its sequence number, and the next one leaves nothing, is there a FAILURE for each id: a number is never without.
   *
   * @defaultValue `recorded`
   */
  readonly unchanged?: "recorded" | "skipped";
}

/** What background work finds: its only way to the database, and what a mutation's resolver has. */
export interface BackgroundContext<Entity extends object> extends Pick<
  MutationContext,
  "manager" | "scope" | "afterCommit"
> {
  /** The named rows that stand, as they were, locked and frozen, in the order of the ids. */
  readonly prior: readonly Entity[];
}

/** What came of work that is committed. */
export interface BackgroundResult<Result> {
  /** What the work returned. */
  readonly result: Result;
  /** One for each id, then for each row that was touched; none for what was skipped. */
  readonly entryIds: readonly string[];
}

/**
 * Does background work as a mutation is done: one transaction with the prior state locked, the state after read again,
 * an entry for each id, all or nothing. The work may run up to four times, where the database breaks it up for the sake
 * of others; what mustn't run twice belongs into `afterCommit`. Work that fails leaves a FAILURE entry for each id.
 *
 * @throws AuditError whatever went wrong, as a client would be told; BAD_USER_INPUT where the ids are none, more than a
 * hundred or malformed
 *
 * @example
 * const locking = await auditedOperation(
 *   runtime,
 *   {
 *     tenantId: "acme",
 *     resource: door,
 *     action: "UPDATE",
 *     ids: [doorId],
 *     actor: { type: "SYSTEM", subsystem: "night_watch" },
 *   },
 *   async ({ manager, prior }) => {
 *     for (const { tenantId, id } of prior) await manager.update(Door, { tenantId, id }, { code: "0000" });
 *     return prior.length;
 *   },
 * );
 * [locking.result, locking.entryIds.length]; // [1, 1]
 */
export async function auditedOperation<Entity extends object, Result>(
  runtime: AuditRuntime,
  operation: BackgroundOperation<Entity>,
  work: (context: BackgroundContext<Entity>) => Result | Promise<Result>,
): Promise<BackgroundResult<Result>> {
  const { tenantId, actor, ids } = operation;
  if (!tenantPattern.test(tenantId)) throw new Error(`No tenant is called ${JSON.stringify(tenantId)}.`);
  if (!subsystemPattern.test(actor.subsystem))
    throw new Error(`A subsystem has a name such as "chat_auto_archive", not ${JSON.stringify(actor.subsystem)}.`);
  let entryIds: readonly string[] = [];
  const result = await auditedCall(runtime, {
    field: fieldOf(runtime, operation),
    operation: null,
    context: contextOf(runtime, operation),
    place: () => runtime.sessions.whenAsked(tenantId),
    args: { ids },
    authorize: () => undefined,
    resolve: (context) => work(backgroundContext(context)),
    report: (reported) => (entryIds = reported),
  });
  return { result: result as Result, entryIds };
}

const subsystemPattern = /^[a-z][a-z0-9_]{0,62}$/;

function fieldOf<Entity extends object>(
  { registry }: AuditRuntime,
  { resource, action, actor, unchanged }: BackgroundOperation<Entity>,
): AuditedField {
  return {
    name: actor.subsystem,
    resource: registry.get(resource.type),
    actions: [action].flat(),
    idFrom: "arguments",
    idPath: ["ids"],
    returnsResource: false,
    returnsList: true,
    errorPrefix: "",
    roles: null,
    unchanged: unchanged ?? "recorded",
  };
}

function contextOf<Entity extends object>(
  { readDataSource }: AuditRuntime,
  { tenantId, actor }: BackgroundOperation<Entity>,
): AuditContext {
  const { type, subsystem } = actor;
  const caller = { actor: { ...anonymous, type, subsystem }, tenantId, subject: null, roles: new Set<string>() };
  return { caller, origin: nowhere, manager: readDataSource.manager, reports: [] };
}

function backgroundContext<Entity extends object>(context: MutationContext): BackgroundContext<Entity> {
  const { manager, scope } = context;
  const prior = (context.prior as readonly (Entity | null)[]).filter((row) => row !== null);
  return { manager, scope, prior, afterCommit: (work: AfterCommit) => context.afterCommit(work) };
}
