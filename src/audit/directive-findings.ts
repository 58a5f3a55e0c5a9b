import { printSchemaWithDirectives } from "@graphql-tools/utils";
import {
  buildSchema,
  getNamedType,
  getNullableType,
  GraphQLID,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLObjectType,
  type GraphQLSchema,
  type GraphQLType,
} from "graphql";
import { directivesOf, type FieldDirectives } from "./directive.js";
import { changeActions } from "./entry.js";
import type { AuditedResource } from "./resource.js";

type Field = GraphQLField<unknown, unknown>;

/** What is wrong with the directives of a schema, each finding with the line to paste. */
export function directiveFindings(schema: GraphQLSchema, resources: readonly AuditedResource[]): string[] {
  const roots = new Set([schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]);
  const findings = Object.values(schema.getTypeMap()).flatMap((type) => {
    if (!isObjectType(type) && !isInterfaceType(type)) return [];
    return Object.values(type.getFields()).flatMap((field) => {
      const place = `${type.name}.${field.name}`;
      const directives = read(schema, field);
      if (typeof directives === "string") return [`${place}: ${directives}`];
      if (type === schema.getMutationType()) return mutationFindings(place, field, directives, resources);
      return misplacedFindings(place, directives, roots.has(type as GraphQLObjectType));
    });
  });
  return [...printedSchemaFindings(schema), ...findings];
}

/** graphql-js knows unknown directives and arguments only in a schema that it reads itself. */
function printedSchemaFindings(schema: GraphQLSchema): string[] {
  try {
    buildSchema(printSchemaWithDirectives(schema));
    return [];
  } catch (error) {
    return [`The schema doesn't hold together: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function read(schema: GraphQLSchema, field: Field): FieldDirectives | string {
  try {
    return directivesOf(schema, field);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function misplacedFindings(
  place: string,
  { audited, unaudited, requires }: FieldDirectives,
  isRoot: boolean,
): string[] {
  return [
    ...(audited || unaudited
      ? [`${place} carries @audited or @unaudited, which have effect on mutations alone: remove it.`]
      : []),
    ...(requires && !isRoot ? [`${place} carries @requires, which has effect on root fields alone: remove it.`] : []),
  ];
}

function mutationFindings(
  place: string,
  field: Field,
  { audited, unaudited }: FieldDirectives,
  resources: readonly AuditedResource[],
): string[] {
  if (audited && unaudited) return [`${place} carries both @audited and @unaudited: keep one.`];
  if (unaudited) return unaudited.reason.trim() === "" ? [`${place}: @unaudited needs a reason.`] : [];
  if (!audited) return [undecided(place, field, resources)];
  return auditedFindings(place, field, audited, resources);
}

/** What the field's type and arguments suggest: the developer corrects the action where it is another. */
function undecided(place: string, field: Field, resources: readonly AuditedResource[]): string {
  const returned = getNamedType(field.type).name;
  const resource = resources.find(({ objectType }) => objectType === returned) ?? resources[0];
  const id = suggestion(field);
  const action = id.startsWith("result.") ? "CREATE" : "UPDATE";
  return (
    `${place} has neither @audited nor @unaudited. Add one of\n` +
    `    @Audited({ resource: "${resource?.type ?? "…"}", action: "${action}", id: "${id}" })\n` +
    `    @Unaudited("why this leaves no entry")`
  );
}

function auditedFindings(
  place: string,
  field: Field,
  { resource, action, id }: NonNullable<FieldDirectives["audited"]>,
  resources: readonly AuditedResource[],
): string[] {
  const types = resources.map(({ type }) => `"${type}"`).join(", ");
  const path = id.split(".");
  const problem = path[0] === "result" ? resultPathProblem(field, path, action) : argumentPathProblem(field, path);
  return [
    ...(resources.some(({ type }) => type === resource)
      ? []
      : [
          `${place}: no audited resource is called "${resource}"; there are ${types}. Declare it with defineAuditedResource.`,
        ]),
    ...(action.length === 0 ? [`${place}: @audited needs an action: CREATE, UPDATE or DELETE.`] : []),
    ...action
      .filter((name) => !changeActions.includes(name))
      .map((name) => `${place}: @audited(action: ${name}): no mutation does that: write CREATE, UPDATE or DELETE.`),
    ...(problem === null ? [] : [`${place}: @audited(id: "${id}"): ${problem}`]),
  ];
}

function argumentPathProblem(field: Field, path: readonly string[]): string | null {
  let members: readonly (GraphQLArgument | GraphQLInputField)[] = field.args;
  for (const [index, name] of path.entries()) {
    const member = members.find((it) => it.name === name);
    const known = members.map((it) => it.name).join(", ") || "nothing";
    if (!member)
      return `there is no ${path.slice(0, index + 1).join(".")}; there is ${known}. Write id: "${suggestion(field)}".`;
    const type = getNullableType(member.type);
    if (index === path.length - 1) return isIdOrList(type) ? null : `it is ${String(member.type)}, not ID or [ID!].`;
    if (!isInputObjectType(type)) return `${name} is ${String(member.type)}, which has no members.`;
    members = Object.values(type.getFields());
  }
  return null;
}

function resultPathProblem(field: Field, path: readonly string[], action: readonly string[]): string | null {
  if (action.length !== 1 || action[0] !== "CREATE")
    return 'only a CREATE may take its id from the result: write a path in the arguments, such as "input.id".';
  let type = getNullableType(field.type) as GraphQLType;
  for (const name of path.slice(1)) {
    const member = isObjectType(type) ? type.getFields()[name] : undefined;
    if (!member) return `the result has no ${name}.`;
    type = getNullableType(member.type);
  }
  return isId(type) ? null : `it is ${String(type)}, not ID.`;
}

const isId = (type: GraphQLType): boolean => type === GraphQLID || (isNonNullType(type) && type.ofType === GraphQLID);
const isIdOrList = (type: GraphQLType): boolean => {
  const nullable = getNullableType(type);
  return isId(nullable) || (isListType(nullable) && isId(nullable.ofType));
};

function suggestion(field: Field): string {
  for (const argument of field.args) {
    const type = getNullableType(argument.type);
    if (isIdOrList(type)) return argument.name;
    const member = isInputObjectType(type)
      ? Object.values(type.getFields()).find((it) => isIdOrList(it.type))
      : undefined;
    if (member) return `${argument.name}.${member.name}`;
  }
  return "result.id";
}
