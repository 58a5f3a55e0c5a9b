import { setTimeout as wait } from "node:timers/promises";
import { MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  defaultFieldResolver,
  responsePathAsArray,
  type GraphQLFieldConfig,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
} from "graphql";
import type { AccessLog, LogAnswer } from "./access-log.js";
import { runAfterCommit } from "./after-commit.js";
import { actionAllowed } from "./changes.js";
import { attemptedFields } from "./attempted.js";
import {
  askedId,
  auditedField,
  authorize,
  errorPrefixOf,
  namedIds,
  valueAt,
  type AuditedField,
} from "./audited-field.js";
import type { AuditContext, MutationContext } from "./context.js";
import { directivesOf } from "./directive.js";
import { AuditError, badUserInput } from "./errors.js";
import { EntryTemplate, tenantOf } from "./entry-template.js";
import { exemptOperation } from "./exempt-operation.js";
import type { Folds } from "./fold.js";
import { logQueries } from "./own-resources.js";
import { nothingChanged } from "./lost-commit.js";
import { Operation, type OperationGround, type OperationProgress, type OperationResult } from "./operation.js";
import type { AuditObserver } from "./observer.js";
import type { RefusalLog } from "./refusal-log.js";
import type { Sessions } from "./session.js";
import { roomFor } from "./spool/room.js";
import type { Spool } from "./spool/spool.js";
import { truncated, unstorablePaths } from "./text.js";
import { isSerializationFailure, translateError } from "./translate-error.js";
import type { StagedEntry } from "./write-staged.js";

/** What the wrapper works with. */
export interface AuditRuntime extends OperationGround {
  readonly sessions: Sessions;
  /** Writes FAILURE and DENIED on a connection of its own. */
  readonly refusals: RefusalLog;
  readonly observer: AuditObserver;
  /** Folds what is DENIED again and again; without it each leaves an entry of its own. */
  readonly folds?: Folds;
  /** Records looks at the log; without it there are no queries of the log. */
  readonly access?: AccessLog;
  /** Keeps attempts that can't be written yet; without one they may be lost. */
  readonly spool?: Spool;
}

type Config = GraphQLFieldConfig<unknown, AuditContext, Readonly<Record<string, unknown>>>;
type Arguments = Readonly<Record<string, unknown>>;
type Resolve = GraphQLFieldResolver<unknown, AuditContext, Arguments>;

const MAX_TRIES = 4;
const RETRY_MILLISECONDS = 20;
const APPLIED = "auditApplied";
/** A request can name so many keys of its own, and such long ones, that its answer would be many times its size. */
const MOST_FIELDS_NAMED = 20;
const LONGEST_PATH = 200;

/**
 * Makes the directives work: wraps every mutation by its `@audited` or `@unaudited`, and every root field by its
 * `@requires`. Call it after all other transformers, so that it stands outside authorization and validation and sees
 * what they refuse; a second call changes nothing.
 *
 * @example
 * const audited = applyAudit(schema, runtime);
 * audited.getMutationType()?.getFields()["openDoor"]?.extensions; // { auditApplied: true }
 * applyAudit(audited, runtime).getMutationType()?.getFields()["openDoor"]?.resolve ===
 *   audited.getMutationType()?.getFields()["openDoor"]?.resolve; // true
 */
export function applyAudit(schema: GraphQLSchema, runtime: AuditRuntime): GraphQLSchema {
  const wrap = (config: Config, name: string, isMutation: boolean): Config => {
    if (config.extensions?.[APPLIED]) return config;
    const resolve = isMutation
      ? mutationResolver(schema, runtime, config, name)
      : guardedResolver(schema, runtime, config, name);
    return { ...config, resolve, extensions: { ...config.extensions, [APPLIED]: true } };
  };
  return mapSchema(schema, {
    [MapperKind.MUTATION_ROOT_FIELD]: (config, name) => wrap(config as Config, name, true),
    [MapperKind.QUERY_ROOT_FIELD]: (config, name) => wrap(config as Config, name, false),
    [MapperKind.SUBSCRIPTION_ROOT_FIELD]: (config, name) => wrap(config as Config, name, false),
  });
}

function guardedResolver(schema: GraphQLSchema, runtime: AuditRuntime, config: Config, name: string): Resolve {
  const allowed = directivesOf(schema, config).requires?.roles ?? null;
  const resolve = config.resolve ?? defaultFieldResolver;
  const guarded: Resolve = (parent, args, context, info) => {
    authorize(context.caller, allowed, false);
    refuseUnstorable(args);
    return resolve(parent, args, context, info);
  };
  const { access, observer } = runtime;
  const query = logQueries.find((it) => it === name);
  if (!access || !query) return guarded;
  return async (parent, args, context, info) => {
    const look = { query, context, args };
    const refuse = async (cause: unknown): Promise<never> => {
      const error = translateError(cause, errorPrefixOf(config), (unforeseen) => observer.unforeseen(unforeseen, name));
      await access.refused(look, error);
      throw error;
    };
    const answer = (await Promise.resolve()
      .then(() => guarded(parent, args, context, info))
      .catch(refuse)) as LogAnswer;
    await access.answered(look, answer);
    return answer;
  };
}

function mutationResolver(schema: GraphQLSchema, runtime: AuditRuntime, config: Config, name: string): Resolve {
  const directives = directivesOf(schema, config);
  const resolve = config.resolve ?? defaultFieldResolver;
  const { audited, requires } = directives;
  if (audited === null)
    return async (parent, args, context, info) => {
      authorize(context.caller, requires?.roles ?? null, true);
      refuseUnstorable(args);
      return exemptOperation(runtime, name, errorPrefixOf(config), context, (inner) =>
        resolve(parent, args, inner, info),
      );
    };
  const field = auditedField(
    name,
    config as GraphQLFieldConfig<unknown, unknown>,
    { ...directives, audited },
    runtime.registry.get(audited.resource),
  );
  return (parent, args, context, info) =>
    auditedCall(runtime, field, args, context, info, (inner) => resolve(parent, args, inner, info));
}

type Call = readonly [
  runtime: AuditRuntime,
  field: AuditedField,
  args: Arguments,
  context: AuditContext,
  info: GraphQLResolveInfo,
  resolve: (context: MutationContext) => unknown,
];

/** Begins an attempt only where there is room to keep what may come of it. */
async function auditedCall(...call: Call): Promise<unknown> {
  const [{ spool }, field, args] = call;
  if (!spool) return attemptCall(...call);
  const release = await spool.reserve(roomFor(args, field.idPath));
  if (release) return attemptCall(...call).finally(release);
  const message =
    "There is no room left to keep what can't be written to the log, so nothing was begun. Try again later.";
  throw new AuditError("AUDIT_UNAVAILABLE", message);
}

async function attemptCall(...[runtime, field, args, context, info, resolve]: Call): Promise<unknown> {
  const place = runtime.sessions.next(tenantOf(context));
  const template = new EntryTemplate(context, field.name, place);
  const progress: OperationProgress = { listed: false, ids: [], prior: undefined };
  const report = (entryIds: readonly string[]) =>
    context.reports.push({
      path: responsePathAsArray(info.path),
      entryIds,
      sessionId: place.sessionId,
      sequenceNumber: String(place.sequenceNumber),
    });
  const attempt = async (): Promise<OperationResult> => {
    authorize(context.caller, field.roles, true);
    refuseUnstorable(args);
    progress.listed = Array.isArray(valueAt(args, field.idPath));
    if (field.idFrom === "arguments")
      progress.ids = namedIds(field, args, runtime.registry.reader(field.resource).idIsUuid);
    return untilSerialized(() => new Operation(runtime, field, context, template, progress, resolve).run());
  };
  const refuse = async (cause: unknown): Promise<never> => {
    const error = translateError(cause, field.errorPrefix, (unforeseen) =>
      runtime.observer.unforeseen(unforeseen, field.name),
    );
    const stagedFor = (told: AuditError) => refusalEntries(runtime, field, args, template, progress, told);
    if (error.outcomeUnknown) {
      await keepUndecided(runtime, stagedFor(nothingChanged(error)), error);
      report([]);
    } else {
      const staged = stagedFor(error);
      const isFolded = runtime.folds?.foldDenied(staged.map(({ entry }) => entry)) ?? false;
      report(isFolded ? [] : await runtime.refusals.write(staged));
    }
    throw error;
  };
  const result = await attempt().catch(refuse);
  // From here on the change stands, whatever happens.
  report(result.entryIds);
  runtime.observer.written(result.staged.map(({ entry }) => entry));
  if (result.complaint) runtime.observer.unforeseen(result.complaint, `${field.name}, after the commit`);
  await runAfterCommit(runtime.observer, field.name, result.afterCommit);
  return result.response;
}

/** It may have been done: an entry that says it wasn't waits until that is known to be true. */
async function keepUndecided({ spool, observer }: AuditRuntime, staged: readonly StagedEntry[], error: AuditError) {
  try {
    const { undecided } = error;
    if (!spool || !undecided) throw error;
    await spool.append({ claimedAt: new Date().toISOString(), undecided, staged });
  } catch (cause) {
    observer.writeFailed(
      cause,
      staged.map(({ entry }) => entry),
    );
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

function refuseUnstorable(args: Arguments): void {
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
