import { getDirective } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  GraphQLDirective,
  GraphQLEnumType,
  GraphQLList,
  GraphQLNonNull,
  GraphQLSchema,
  GraphQLString,
  specifiedDirectives,
} from "graphql";
import { auditActions, type ChangeAction } from "./entry.js";
import { roles, type Role } from "./roles.js";
import { Directive } from "./type-graphql.js";

/** What `@audited` says of a mutation. */
export interface AuditedDirective {
  /** The audited resource's type. */
  readonly resource: string;
  /** What a call may do to it. Which it was follows from the states before and after. */
  readonly action: ChangeAction | readonly ChangeAction[];
  /** Where its id stands: `input.id` in the arguments, a list making one entry each, or `result.id`. */
  readonly id: string;
}

const names = (values: string | readonly string[]) => (typeof values === "string" ? values : `[${values.join(", ")}]`);

/**
 * Records every call of a mutation in the log.
 *
 * @example
 * class DoorResolver {
 *   openDoor() {}
 * }
 * Audited({ resource: "door", action: "UPDATE", id: "input.id" })(DoorResolver.prototype, "openDoor");
 */
export function Audited({ resource, action, id }: AuditedDirective): MethodDecorator & PropertyDecorator {
  return Directive(
    `@audited(resource: ${JSON.stringify(resource)}, action: ${names(action)}, id: ${JSON.stringify(id)})`,
  );
}

/**
 * Says that a mutation leaves no entry, and why; it can change no field that any diff tracks.
 *
 * @example
 * class DoorResolver {
 *   ringBell() {}
 * }
 * Unaudited("A bell changes nothing.")(DoorResolver.prototype, "ringBell");
 */
export function Unaudited(reason: string): MethodDecorator & PropertyDecorator {
  return Directive(`@unaudited(reason: ${JSON.stringify(reason)})`);
}

/**
 * Says who may use a field: any of these roles. A refusal comes before anything is read or locked.
 *
 * @example
 * class DoorResolver {
 *   doors() {}
 * }
 * Requires("ADMIN", "AUDITOR")(DoorResolver.prototype, "doors");
 */
export function Requires(...allowed: readonly [Role, ...Role[]]): MethodDecorator & PropertyDecorator {
  return Directive(`@requires(roles: ${names(allowed.length === 1 ? allowed[0] : allowed)})`);
}

/**
 * The schema with `@audited`, `@unaudited` and `@requires` declared: type-graphql refuses an enum that a directive's
 * argument shares with a field, so they join once it has built the rest.
 *
 * @example
 * const schema = new GraphQLSchema({ query: new GraphQLObjectType({ name: "Query", fields: { ok: { type: GraphQLString } } }) });
 * withAuditDirectives(schema).getDirective("audited")?.args.map((argument) => argument.name); // ["resource", "action", "id"]
 */
export function withAuditDirectives(bare: GraphQLSchema): GraphQLSchema {
  const action = enumOf(bare, "AuditAction", auditActions);
  const role = enumOf(bare, "Role", roles);
  const config = bare.toConfig();
  const directives = config.directives.filter((directive) => !specifiedDirectives.includes(directive));
  return new GraphQLSchema({
    ...config,
    types: [...config.types.filter(({ name }) => name !== action.name && name !== role.name), action, role],
    directives: [...specifiedDirectives, ...directives, ...auditDirectives(action, role)],
  });
}

function enumOf(schema: GraphQLSchema, name: string, values: readonly string[]): GraphQLEnumType {
  const type = schema.getType(name);
  if (type instanceof GraphQLEnumType) return type;
  return new GraphQLEnumType({ name, values: Object.fromEntries(values.map((value) => [value, { value }])) });
}

function auditDirectives(action: GraphQLEnumType, role: GraphQLEnumType): GraphQLDirective[] {
  const required = <Type extends GraphQLEnumType | typeof GraphQLString>(type: Type) => new GraphQLNonNull(type);
  const listOf = (type: GraphQLEnumType) => new GraphQLNonNull(new GraphQLList(required(type)));
  const on = (
    name: string,
    description: string,
    args: Record<string, { type: GraphQLNonNull<never> | object; description?: string }>,
  ) =>
    new GraphQLDirective({
      name,
      description,
      locations: [DirectiveLocation.FIELD_DEFINITION],
      args: args as ConstructorParameters<typeof GraphQLDirective>[0]["args"],
    });
  return [
    on(
      "audited",
      "Records every call of this mutation in the audit log: who did it, to which resource, with what outcome, and the resource's tracked fields before and after.",
      {
        resource: {
          type: required(GraphQLString),
          description: 'The audited resource\'s registered type, such as "group_budget".',
        },
        action: {
          type: listOf(action),
          description:
            "What a call may do to the resource. Which of them one call did follows from the states before and after it; what isn't declared here is rolled back.",
        },
        id: {
          type: required(GraphQLString),
          description:
            'Where the resource\'s id stands: a path in the arguments ("input.id"; a list makes one entry each) or, where the call gives birth to it, in the result ("result.id").',
        },
      },
    ),
    on("unaudited", "Says that this mutation leaves no entry, and why. It can change no field that any diff tracks.", {
      reason: { type: required(GraphQLString) },
    }),
    on("requires", "Who may use this field: any of these roles. Refused before anything is read or locked.", {
      roles: { type: listOf(role) },
    }),
  ];
}

/** What a field's directives say, null for each that it doesn't carry. The start refuses an action that is no change. */
export interface FieldDirectives {
  readonly audited: { readonly resource: string; readonly action: readonly ChangeAction[]; readonly id: string } | null;
  readonly unaudited: { readonly reason: string } | null;
  readonly requires: { readonly roles: readonly string[] } | null;
}

/** Reads the directives on a field, however its schema was made. @throws where an argument's value is wrong */
export function directivesOf(schema: GraphQLSchema, field: Parameters<typeof getDirective>[1]): FieldDirectives {
  const read = (name: string) => getDirective(schema, field, name)?.[0] ?? null;
  return {
    audited: read("audited") as FieldDirectives["audited"],
    unaudited: read("unaudited") as FieldDirectives["unaudited"],
    requires: read("requires") as FieldDirectives["requires"],
  };
}
