import type { Caller } from "./context.js";

/**
 * What the log keeps of one field. A tracked one's values, a list's in their order or as a set, sorted by code point; of
 * a secret only that it changed; of an ignored one nothing, for the reason given.
 */
export type FieldPolicy =
  | { readonly kind: "track"; readonly as: "value" | "set" }
  | { readonly kind: "secret" }
  | { readonly kind: "ignore"; readonly reason: string };

/**
 * The field's values are kept, a list's in their order.
 *
 * @example
 * track; // { kind: "track", as: "value" }
 */
export const track: FieldPolicy = { kind: "track", as: "value" };
/**
 * The field is a list whose order means nothing: kept sorted, each value once.
 *
 * @example
 * trackSet; // { kind: "track", as: "set" }
 */
export const trackSet: FieldPolicy = { kind: "track", as: "set" };
/**
 * Only that the field changed is kept: neither value, salt nor digest.
 *
 * @example
 * secret; // { kind: "secret" }
 */
export const secret: FieldPolicy = { kind: "secret" };
/**
 * Nothing of the field is kept, for a reason that the documentation tells.
 *
 * @example
 * ignore("Churn: every knock changes it."); // { kind: "ignore", reason: "Churn: every knock changes it." }
 */
export const ignore = (reason: string): FieldPolicy => ({ kind: "ignore", reason });

/** What a field policy is called in the database and in the log. */
export type PolicyName = "track" | "track as a set" | "secret" | "ignore";

/** A field policy's name, in which the reason for ignoring isn't told. */
export const policyName = (policy: FieldPolicy): PolicyName =>
  policy.kind === "track" && policy.as === "set" ? "track as a set" : policy.kind;

/** What of its own tenant's rows a caller may see: all, or those whose fields have these values. */
export type Visibility<Entity> = "all" | { readonly [Field in keyof Entity]?: string | null };

/** The declaration of a kind of resource. Shared code never branches on its type: each declares its own answers. */
export interface AuditedResource<Entity extends object = object> {
  /** Its name in the log and in `@audited(resource:)`: lower case with underscores. */
  readonly type: string;
  /** The TypeORM entity whose rows are the truth. */
  readonly entity: new () => Entity;
  /** The GraphQL object type that shows it. */
  readonly objectType: string;
  /** The property that names it within its tenant, and the one that says whose it is. */
  readonly idField: string;
  readonly tenantField: string;
  readonly fields: Readonly<Record<string, FieldPolicy>>;
  /** Those of them that aren't ignored, in their order. */
  readonly recorded: readonly { readonly field: string; readonly isSecret: boolean }[];
  /** An SQL scalar over the table's row, called `row`, that gives the label, where the row itself doesn't hold it. */
  readonly labelQuery: string | null;
  label(entity: Entity): string | null;
  link(id: string): string | null;
  visible(caller: Caller): Visibility<Entity>;
}

interface Declaration<Entity extends object> {
  readonly type: string;
  readonly entity: new () => Entity;
  readonly objectType?: string;
  readonly id: keyof Entity & string;
  readonly tenant: keyof Entity & string;
  /** How people know it: from the row, or by `{ query }`, an SQL scalar over the table's row, called `row`. */
  readonly label: ((entity: Entity) => string | null) | { readonly query: string };
  /** Where it is to be seen. */
  readonly link?: (id: string) => string;
  /** What a caller sees of the tenant's rows; all of them unless it says otherwise. */
  readonly visible?: (caller: Caller) => Visibility<Entity>;
  /** A policy for every column. */
  readonly fields: { readonly [Field in keyof Entity]-?: FieldPolicy };
}

/**
 * Declares a kind of resource whose changes the log records. The compiler asks for a policy for every property; the
 * start compares them with the entity's columns.
 *
 * @example
 * class Door {
 *   id!: string;
 *   tenantId!: string;
 *   code!: string;
 * }
 * const door = defineAuditedResource({
 *   type: "door",
 *   entity: Door,
 *   id: "id",
 *   tenant: "tenantId",
 *   label: (it) => it.id.slice(0, 8),
 *   fields: { id: ignore("The entry names it."), tenantId: ignore("The entry names it."), code: secret },
 * });
 * door.objectType; // "Door"
 */
export function defineAuditedResource<Entity extends object>(
  declaration: Declaration<Entity>,
): AuditedResource<Entity> {
  const { label } = declaration;
  return {
    type: declaration.type,
    entity: declaration.entity,
    objectType: declaration.objectType ?? declaration.entity.name,
    idField: declaration.id,
    tenantField: declaration.tenant,
    fields: declaration.fields,
    recorded: recordedOf(declaration.fields),
    labelQuery: typeof label === "function" ? null : label.query,
    label: typeof label === "function" ? label : () => null,
    link: declaration.link ?? (() => null),
    visible: declaration.visible ?? (() => "all"),
  };
}

const recordedOf = (fields: Readonly<Record<string, FieldPolicy>>) =>
  Object.entries(fields).flatMap(([field, { kind }]) =>
    kind === "ignore" ? [] : [{ field, isSecret: kind === "secret" }],
  );
