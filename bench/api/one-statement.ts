import { MapperKind, mapSchema } from "@graphql-tools/utils";
import type { GraphQLFieldConfig, GraphQLSchema } from "graphql";
import type { Pool } from "pg";
import type { AuditContext } from "../../src/audit/context.js";
import { authorize } from "../../src/audit/audited-field.js";

interface HandWritten {
  readonly text: string;
  readonly values: (input: Readonly<Record<string, unknown>>) => readonly unknown[];
}

const statements: Readonly<Record<string, HandWritten>> = {
  updateDevice: {
    text: `update app.device set name = $3 where tenant_id = $1 and id = $2
      returning id, name, status, firmware_version as "firmwareVersion", updated_at as "updatedAt"`,
    values: ({ id, name }) => [id, name],
  },
  upsertGroupBudget: {
    text: `update app.group_budget set spend_limit_micros = $3 where tenant_id = $1 and group_id = $2
      returning group_id as "groupId", spend_limit_micros as "spendLimitMicros", updated_at as "updatedAt"`,
    values: ({ groupId, spendLimitMicros }) => [groupId, String(spendLimitMicros)],
  },
};

type Config = GraphQLFieldConfig<unknown, AuditContext, { readonly input: Readonly<Record<string, unknown>> }>;

/** Mutations as someone writes them by hand who needs nothing of what stood before: one statement in autocommit. */
export function applyOneStatement(schema: GraphQLSchema, pool: Pool): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.MUTATION_ROOT_FIELD]: (config, name) => {
      const statement = statements[name];
      if (!statement) return config;
      const resolve: Config["resolve"] = async (_parent, { input }, { caller }) => {
        authorize(caller, ["ADMIN"], true);
        const values = [caller.tenantId, ...statement.values(input)];
        const { rows } = await pool.query<object>({ name: `bench:${name}`, text: statement.text, values });
        return rows[0] ?? null;
      };
      return { ...(config as Config), resolve };
    },
  });
}
