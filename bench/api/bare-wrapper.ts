import { MapperKind, mapSchema } from "@graphql-tools/utils";
import { defaultFieldResolver, type GraphQLFieldConfig, type GraphQLSchema } from "graphql";
import type { DataSource } from "typeorm";
import { auditedField, authorize, namedIds, type AuditedField } from "../../src/audit/audited-field.js";
import { mutationContext, type AuditContext, type MutationContext } from "../../src/audit/context.js";
import { directivesOf } from "../../src/audit/directive.js";
import { notFound } from "../../src/audit/errors.js";
import { rollBack } from "../../src/audit/end-transaction.js";
import type { Registry } from "../../src/audit/registry.js";
import { AuditScope } from "../../src/audit/scope.js";
import type { Snapshot } from "../../src/audit/snapshot.js";
import { unstorablePaths } from "../../src/audit/text.js";
import { translateError } from "../../src/audit/translate-error.js";

interface Ground {
  readonly dataSource: DataSource;
  readonly registry: Registry;
}

type Arguments = Readonly<Record<string, unknown>>;
type Config = GraphQLFieldConfig<unknown, AuditContext, Arguments>;

/**
 * The wrapper of the audited mutations with changes and entry left out: BEGIN, locked read, the resolver, second read,
 * COMMIT, the fresh entity as the response. For mutations whose ids their arguments name and whose rows stand.
 */
export function applyBare(schema: GraphQLSchema, ground: Ground): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.MUTATION_ROOT_FIELD]: (config, name) => {
      const directives = directivesOf(schema, config);
      const { audited } = directives;
      if (audited === null) return config;
      const field = auditedField(
        name,
        config as GraphQLFieldConfig<unknown, unknown>,
        { ...directives, audited },
        ground.registry.get(audited.resource),
      );
      const resolve = (config as Config).resolve ?? defaultFieldResolver;
      const wrapped: Config["resolve"] = (parent, args, context, info) =>
        bareCall(ground, field, args, context, (inner) => resolve(parent, args, inner, info));
      return { ...(config as Config), resolve: wrapped };
    },
  });
}

async function bareCall(
  ground: Ground,
  field: AuditedField,
  args: Arguments,
  context: AuditContext,
  resolve: (context: MutationContext) => unknown,
): Promise<unknown> {
  try {
    authorize(context.caller, field.roles, true);
    if (unstorablePaths(args, "").length > 0) throw new Error("The bench sends nothing of the kind.");
    const ids = namedIds(field, args, ground.registry.reader(field.resource).idIsUuid);
    return await inTransaction(ground, field, ids, context, resolve);
  } catch (cause) {
    throw translateError(cause, field.errorPrefix, String);
  }
}

async function inTransaction(
  ground: Ground,
  field: AuditedField,
  ids: readonly string[],
  context: AuditContext,
  resolve: (context: MutationContext) => unknown,
): Promise<unknown> {
  const tenantId = context.caller.tenantId ?? "";
  const runner = ground.dataSource.createQueryRunner("master");
  const lock = field.actions.includes("DELETE") ? "for update" : "for no key update";
  const scope = AuditScope.open(runner, tenantId, ground.registry, { lock });
  const reader = ground.registry.reader(field.resource);
  try {
    await runner.connect();
    await runner.startTransaction();
    const prior = await reader.read(runner, tenantId, ids, field.resource.visible(context.caller), lock);
    const entities = ids.map((id) => standing(prior, field, id).entity);
    entities.forEach(deepFreeze);
    await resolve(mutationContext(context, scope, entities[0], []));
    const after = await reader.read(runner, tenantId, ids);
    await runner.commitTransaction();
    return ids.map((id) => standing(after, field, id).entity)[0];
  } catch (error) {
    await rollBack(runner, scope);
    throw error;
  } finally {
    scope.close();
    await runner.release();
  }
}

function standing(found: ReadonlyMap<string, Snapshot>, field: AuditedField, id: string): Snapshot {
  const snapshot = found.get(id);
  if (!snapshot) throw notFound(field.resource.type, id);
  return snapshot;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}
