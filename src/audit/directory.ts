import type { GraphQLSchema } from "graphql";
import type { DataSource } from "typeorm";
import { eventTypesOf, reportedEventTypesOf } from "./event-type.js";
import { mutationDecisions } from "./mutation-decisions.js";
import {
  declaredFields,
  fenceFields,
  logQueries,
  ownEventTypes,
  ownResourceTypes,
  reportMutation,
  sessionFields,
  startedFields,
} from "./own-resources.js";
import { resourceKey, type ResourceDirectory, type ResourceKey } from "./read/resource-directory.js";
import type { Vocabulary } from "./read/vocabulary.js";
import type { Registry } from "./registry.js";
import type { ReportedResource } from "./reported-resource.js";
import type { AuditedResource } from "./resource.js";
import { identifier } from "./sql.js";
import { columnOf, tableOf } from "./table.js";
import { isUuid } from "./uuid.js";

/** What readers of the log can learn of the resources that entries name, from the registry and its tables. */
export function directoryOf(registry: Registry, dataSource: DataSource): ResourceDirectory {
  return {
    isRegistered: (type) => registry.find(type) !== undefined,
    link: (type, id) => registry.find(type)?.link(id) ?? null,
    existing: (type, keys) => {
      const resource = registry.get(type);
      return existing(resource, registry.reader(resource).idIsUuid, dataSource, keys);
    },
  };
}

async function existing(
  resource: AuditedResource,
  idIsUuid: boolean,
  dataSource: DataSource,
  keys: readonly ResourceKey[],
): Promise<ReadonlySet<string>> {
  const metadata = dataSource.getMetadata(resource.entity);
  const column = (field: string) => `"row".${identifier(columnOf(metadata, field).databaseName)}`;
  // Ids come as clients sent them: one that is no UUID can't stand in a column of them.
  const possible = keys.filter(({ id }) => !idIsUuid || isUuid(id));
  const rows: { tenant: string; place: string }[] = await dataSource.query(
    `select "wanted"."tenant", "wanted"."place"
     from unnest($1::text[], $2::${idIsUuid ? "uuid" : "text"}[]) with ordinality as "wanted" ("tenant", "id", "place")
     join ${tableOf(metadata)} as "row"
       on ${column(resource.tenantField)} = "wanted"."tenant" and ${column(resource.idField)} = "wanted"."id"`,
    [possible.map(({ tenantId }) => tenantId), possible.map(({ id }) => id)],
  );
  return new Set(
    rows.map(({ place }) => possible[Number(place) - 1]).flatMap((key) => (key ? [resourceKey(key)] : [])),
  );
}

/** The names that new entries can have. */
export function vocabularyOf(
  registry: Registry,
  schema: GraphQLSchema,
  reported: readonly ReportedResource[] = [],
): Vocabulary {
  const { resources } = registry;
  const recorded = [...resources, ...reported].flatMap(({ fields }) =>
    Object.entries(fields).flatMap(([field, policy]) => (policy.kind === "ignore" ? [] : [field])),
  );
  const mutations = mutationDecisions(schema).flatMap(({ name, audited }) => (audited ? [name] : []));
  return {
    resourceTypes: new Set([...[...resources, ...reported].map(({ type }) => type), ...ownResourceTypes]),
    eventTypes: new Set([
      ...resources.flatMap(({ type }) => eventTypesOf(type)),
      ...reported.flatMap(({ type, actions }) => reportedEventTypesOf(type, actions)),
      ...ownEventTypes,
    ]),
    operations: new Set([...mutations, ...logQueries, reportMutation]),
    fields: new Set([...recorded, ...declaredFields, ...startedFields, ...sessionFields, ...fenceFields]),
  };
}
