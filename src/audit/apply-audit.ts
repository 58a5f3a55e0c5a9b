import { MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  defaultFieldResolver,
  responsePathAsArray,
  type GraphQLFieldConfig,
  type GraphQLFieldResolver,
  type GraphQLSchema,
} from "graphql";
import type { LogAnswer } from "./access-log.js";
import { auditedCall, refuseUnstorable, type Arguments } from "./audited-call.js";
import { auditedField, authorize, errorPrefixOf } from "./audited-field.js";
import type { AuditRuntime } from "./audit-runtime.js";
import type { AuditContext } from "./context.js";
import { directivesOf } from "./directive.js";
import { tenantOf } from "./entry-template.js";
import { exemptOperation } from "./exempt-operation.js";
import { logQueries } from "./own-resources.js";
import { translateError } from "./translate-error.js";

type Config = GraphQLFieldConfig<unknown, AuditContext, Arguments>;
type Resolve = GraphQLFieldResolver<unknown, AuditContext, Arguments>;

const APPLIED = "auditApplied";

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
  return (parent, args, context, info) => {
    const path = responsePathAsArray(info.path);
    return auditedCall(runtime, {
      field,
      operation: name,
      context,
      place: () => runtime.sessions.next(tenantOf(context)),
      args,
      authorize: () => authorize(context.caller, field.roles, true),
      resolve: (inner) => resolve(parent, args, inner, info),
      report: (entryIds, { sessionId, sequenceNumber }) =>
        void context.reports.push({ path, entryIds, sessionId, sequenceNumber: String(sequenceNumber) }),
    });
  };
}
