import { getNamedType, getNullableType, GraphQLList, type GraphQLFieldConfig } from "graphql";
import type { Caller } from "./context.js";
import type { FieldDirectives } from "./directive.js";
import type { ChangeAction } from "./entry.js";
import { AuditError, badUserInput } from "./errors.js";
import type { AuditedResource } from "./resource.js";
import { storable, truncated } from "./text.js";
import { isUuid, NIL_UUID } from "./uuid.js";

/** How many ids one call may name. */
const MAX_IDS = 100;

/** What leaves entries: a mutation, as its directives and its type describe it, or a piece of background work. */
export interface AuditedField {
  /** As the server's log and a developer's errors call it. */
  readonly name: string;
  readonly resource: AuditedResource;
  readonly actions: readonly ChangeAction[];
  /** Where the id stands, below the arguments or below the result. */
  readonly idFrom: "arguments" | "result";
  readonly idPath: readonly string[];
  /** Whether the fresh entities are the response. */
  readonly returnsResource: boolean;
  readonly returnsList: boolean;
  /** Where in the arguments type-graphql's validation errors belong. */
  readonly errorPrefix: string;
  readonly roles: readonly string[] | null;
  /** What a named row leaves that is the same after it, or is gone before and after: an entry or an error, or nothing. */
  readonly unchanged: "recorded" | "skipped";
}

/** A mutation as its directives and its type say, which the start has found to fit. */
export function auditedField(
  name: string,
  config: GraphQLFieldConfig<unknown, unknown>,
  directives: FieldDirectives & { readonly audited: NonNullable<FieldDirectives["audited"]> },
  resource: AuditedResource,
): AuditedField {
  const { action, id } = directives.audited;
  const path = id.split(".");
  const idFrom = path[0] === "result" ? "result" : "arguments";
  return {
    name,
    resource,
    actions: action,
    idFrom,
    idPath: idFrom === "result" ? path.slice(1) : path,
    returnsResource: getNamedType(config.type).name === resource.objectType,
    returnsList: getNullableType(config.type) instanceof GraphQLList,
    errorPrefix: errorPrefixOf(config),
    roles: directives.requires?.roles ?? null,
    unchanged: "recorded",
  };
}

/** The argument that validation errors are about, where there is one alone. */
export function errorPrefixOf({ args }: Pick<GraphQLFieldConfig<unknown, unknown>, "args">): string {
  const [name, ...more] = Object.keys(args ?? {});
  return name !== undefined && more.length === 0 ? name : "";
}

/** The role of processes that report. */
export const REPORTER = "REPORTER";

/**
 * Refuses who may not use a field: the anonymous every one, who may only report every other, others by `@requires`, and a
 * mutation without a tenant.
 */
export function authorize(caller: Caller, allowed: readonly string[] | null, isMutation: boolean): void {
  if (caller.actor.type === "ANONYMOUS")
    throw new AuditError("UNAUTHENTICATED", "Send a token that verifies: `authorization: Bearer …`.");
  if (isReporterAlone(caller) && !allowed?.includes(REPORTER))
    throw new AuditError("FORBIDDEN", "A token whose only role is reporter's does nothing but report.");
  if (allowed && !allowed.some((role) => caller.roles.has(role)))
    throw new AuditError("FORBIDDEN", `This needs one of the roles ${allowed.join(", ").toLowerCase()}.`);
  if (isMutation && caller.tenantId === null)
    throw new AuditError("FORBIDDEN", "The token names no tenant, and so can change nothing.");
}

const isReporterAlone = ({ roles }: Caller): boolean => roles.size === 1 && roles.has(REPORTER);

/** The value below a path, undefined where the path ends early. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    root,
  );
}

/**
 * The ids that the arguments name, deduplicated, in their order; a UUID in lower case, as the database prints it.
 *
 * @throws AuditError BAD_USER_INPUT where they are none, more than a hundred, or not of the column's form
 */
export function namedIds(field: AuditedField, args: unknown, idIsUuid: boolean): string[] {
  const place = field.idPath.join(".");
  const value = valueAt(args, field.idPath);
  const given = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  // An ID is a string once graphql-js has coerced it.
  const ids = given.filter((id) => typeof id === "string");
  if (ids.length === 0) throw badUserInput([{ field: place, message: "must name at least one id" }]);
  if (ids.length > MAX_IDS) throw badUserInput([{ field: place, message: `may name at most ${String(MAX_IDS)} ids` }]);
  const malformed = idIsUuid ? ids.findIndex((id) => !isUuid(id) || id === NIL_UUID) : -1;
  if (malformed >= 0) {
    const where = Array.isArray(value) ? `${place}.${String(malformed)}` : place;
    throw badUserInput([{ field: where, message: "must be a UUID" }]);
  }
  return [...new Set(idIsUuid ? ids.map((id) => id.toLowerCase()) : ids)];
}

/** The one id that the arguments ask for, as far as the log can keep it; null where they name a list. */
export function askedId(field: AuditedField, args: unknown, idIsUuid: boolean): string | null {
  const value = field.idFrom === "arguments" ? valueAt(args, field.idPath) : null;
  if (typeof value !== "string" || value === "" || value === NIL_UUID) return null;
  return truncated(storable(idIsUuid && isUuid(value) ? value.toLowerCase() : value), 128);
}
