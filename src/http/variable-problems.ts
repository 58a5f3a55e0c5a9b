import {
  coerceInputValue,
  isInputType,
  isNonNullType,
  typeFromAST,
  type GraphQLSchema,
  type VariableDefinitionNode,
} from "graphql";
import type { FieldProblem } from "../audit/index.js";
import { withoutValue } from "./without-value.js";

/** What is wrong with one variable's value, in the order in which graphql-js finds it, each with its path. */
export function variableProblems(
  schema: GraphQLSchema,
  { variable, type: node }: VariableDefinitionNode,
  values: Readonly<Record<string, unknown>>,
): FieldProblem[] {
  const name = variable.name.value;
  const type = typeFromAST(schema, node);
  if (!isInputType(type)) return [];
  const value = values[name];
  if (value === undefined && isNonNullType(type)) return [{ field: name, message: "must be given" }];
  if (value === null && isNonNullType(type)) return [{ field: name, message: "must not be null" }];
  const problems: FieldProblem[] = [];
  coerceInputValue(value, type, (path, _value, error) => {
    problems.push({ field: [name, ...path].join("."), message: withoutValue(error) });
  });
  return problems;
}
