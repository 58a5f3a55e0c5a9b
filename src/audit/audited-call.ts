import { setTimeout as wait } from "node:timers/promises";
import { runAfterCommit } from "./after-commit.js";
import { attemptedFields } from "./attempted.js";
import type { AuditRuntime } from "./audit-runtime.js";
import { askedId, namedIds, valueAt, type AuditedField } from "./audited-field.js";
import { actionAllowed } from "./changes.js";
import type { AuditContext, MutationContext } from "./context.js";
import { AuditError, badUserInput } from "./errors.js";
import { EntryTemplate } from "./entry-template.js";
import { nothingChanged } from "./lost-commit.js";
import { Operation, type OperationProgress, type OperationResult } from "./operation.js";
import type { SequencePlace } from "./session.js";
import { roomFor } from "./spool/room.js";
import { truncated, unstorablePaths } from "./text.js";
import { isSerializationFailure } from "./sql-state.js";
import { translateError } from "./translate-error.js";
import type { StagedEntry } from "./write-staged.js";

export type Arguments = Readonly<Record<string, unknown>>;

/** One call of an audited operation, whoever makes it: a client or the system itself. */
export interface AuditedCall {
  readonly field: AuditedField;
  /** The mutation's name; null where none does it. */
  readonly operation: string | null;
  readonly context: AuditContext;
  /** Taken once there is room for the attempt. */
  readonly place: () => SequencePlace;
  /** Where the ids stand, and what a failure says was asked. */
  readonly args: Arguments;
  /** Refuses who may not make it, before anything is read. */
  readonly authorize: () => void;
  readonly resolve: (context: MutationContext) => unknown;
  /** Told the entries that the call left, whatever came of it. */
  readonly report: (entryIds: readonly string[], place: SequencePlace) => void;
}

const MAX_TRIES = 4;
const RETRY_MILLISECONDS = 20;
/** A request can name so many keys of its own, and such long ones, that its answer would be many times its size. */
const MOST_FIELDS_NAMED = 20;
const LONGEST_PATH = 200;

/**
 * Begins an attempt only where there is room to keep what may come of it, and makes it in a transaction of its own, again
 * where the database broke it up for the sake of another; what fails or is refused leaves its entry after the rollback.
 *
 * @throws AuditError whatever went wrong: it may be told to who called
 */
export async function auditedCall(runtime: AuditRuntime, call: AuditedCall): Promise<unknown> {
  const { spool } = runtime;
  if (!spool) return attemptCall(runtime, call);
  const release = await spool.reserve(roomFor(call.args, call.field.idPath));
  if (release) return attemptCall(runtime, call).finally(release);
  const message =
    "There is no room left to keep what can't be written to the log, so nothing was begun. Try again later.";
  throw new AuditError("AUDIT_UNAVAILABLE", message);
}

async function attemptCall(runtime: AuditRuntime, call: AuditedCall): Promise<unknown> {
  const { field, context, args } = call;
  const place = call.place();
  const template = new EntryTemplate(context, call.operation, place);
  const progress: OperationProgress = { listed: false, ids: [], prior: undefined };
  const attempt = async (): Promise<OperationResult> => {
    call.authorize();
    refuseUnstorable(args);
    progress.listed = Array.isArray(valueAt(args, field.idPath));
    if (field.idFrom === "arguments")
      progress.ids = namedIds(field, args, runtime.registry.reader(field.resource).idIsUuid);
    return untilSerialized(() => new Operation(runtime, field, context, template, progress, call.resolve).run());
  };
  const stagedFor = (told: AuditError) => refusalEntries(runtime, field, args, template, progress, told);
  const refuse = async (cause: unknown): Promise<never> => {
    const error = translateError(cause, field.errorPrefix, (unforeseen) =>
      runtime.observer.unforeseen(unforeseen, field.name),
    );
    if (error.outcomeUnknown) {
      await keepUndecided(runtime, stagedFor(nothingChanged(error)), error);
      call.report([], place);
    } else {
      const staged = stagedFor(error);
      const isFolded = runtime.folds?.foldDenied(staged.map(({ entry }) => entry)) ?? false;
      call.report(isFolded ? [] : await runtime.refusals.write(staged), place);
    }
    throw error;
  };
  const result = await attempt().catch(refuse);
  // From here on the change stands, whatever happens.
  call.report(result.entryIds, place);
  runtime.observer.written(result.staged.map(({ entry }) => entry));
  // A try before took the number and was undone, and the last one leaves nothing: the number would seem lost.
  if (result.staged.length === 0 && template.isUsed) await runtime.refusals.write(stagedFor(nothingLeft()));
  if (result.complaint) runtime.observer.unforeseen(result.complaint, `${field.name}, after the commit`);
  await runAfterCommit(runtime.observer, field.name, result.afterCommit);
  return result.response;
}

const nothingLeft = () =>
  new AuditError("CONFLICT", "Others changed the same things at the same time, and then nothing was left to be done.");

/** It may have been done: an entry that says it wasn't waits until that is known to be true. */
async function keepUndecided({ spool, observer }: AuditRuntime, staged: readonly StagedEntry[], error: AuditError) {
  try {
    const { undecided } = error;
    if (!spool || !undecided) throw error;
    await spool.append({ claimedAt: new Date().toISOString(), undecided, staged });
  } catch (cause) {
    const entries = staged.map(({ entry }) => entry);
    observer.writeFailed(cause, entries);
    observer.ended?.(entries);
  }
}

async function untilSerialized<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++)
    try {
      return await run();
    } catch (error) {
      if (tries === MAX_TRIES || !isSerializationFailure(error)) throw error;
      await wait(Math.random() * RETRY_MILLISECONDS * 2 ** tries);
    }
}

/** Refuses text that PostgreSQL can't hold. @throws AuditError BAD_USER_INPUT, naming where it stands */
export function refuseUnstorable(args: Arguments): void {
  const paths = unstorablePaths(args, "").slice(0, MOST_FIELDS_NAMED);
  if (paths.length > 0)
    throw badUserInput(
      paths.map((path) => ({ field: truncated(path, LONGEST_PATH), message: "holds NUL or a lone surrogate" })),
    );
}

/**
 * The entries of an attempt that came to nothing: one for each id, or one without an id where the call was refused
 * before its ids were known. The id that the error names has its code, and is the cause of the others' being undone.
 */
function refusalEntries(
  { registry }: AuditRuntime,
  field: AuditedField,
  args: Arguments,
  template: EntryTemplate,
  progress: OperationProgress,
  error: AuditError,
): StagedEntry[] {
  const attempted = attemptedFields(field.resource, args);
  const ids = progress.ids.length > 0 ? progress.ids : [askedId(field, args, registry.reader(field.resource).idIsUuid)];
  const culprit = error.resourceId === null ? -1 : ids.indexOf(error.resourceId);
  const alone = ids.length === 1 || culprit < 0;
  return ids.map((id, ordinal) => {
    const prior = id === null || progress.ids.length === 0 ? undefined : progress.prior?.get(id);
    const undone = !alone && ordinal !== culprit;
    const entry = template.refusal(field.resource, {
      id,
      prior: prior ?? null,
      action: actionAllowed(field.actions, prior),
      error: undone ? new AuditError("ROLLED_BACK", "Undone because another id of the same call failed.") : error,
      attempted,
      ordinal,
    });
    return { entry, causedBy: undone ? culprit : null };
  });
}
