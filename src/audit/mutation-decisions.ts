import type { GraphQLSchema } from "graphql";
import { directivesOf, type FieldDirectives } from "./directive.js";

/** What was decided for one mutation. */
export interface MutationDecision extends FieldDirectives {
  readonly name: string;
}

/**
 * Every mutation of the schema with its directives, by name.
 *
 * @example
 * mutationDecisions(schema).map(({ name, audited }) => `${name}: ${audited?.action.join() ?? "exempt"}`); // ["knock: exempt", "openDoor: UPDATE"]
 */
export function mutationDecisions(schema: GraphQLSchema): MutationDecision[] {
  return Object.values(schema.getMutationType()?.getFields() ?? {})
    .map((field) => ({
      name: field.name,
      ...directivesOf(schema, field),
    }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}
