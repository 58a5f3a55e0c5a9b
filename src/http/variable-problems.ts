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

/** graphql-js tells so many. A list may hold a million, and each takes an error with its stack. */
const MOST_TOLD = 50;

class EnoughError extends Error {
  override readonly name = "EnoughError";
}

/**
 * What is wrong with one variable's value, in the order in which graphql-js finds it, each with its path: as much of it as
 * is told.
 */
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
  try {
    coerceInputValue(value, type, (path, _value, error) => {
      problems.push({ field: [name, ...path].join("."), message: withoutValue(error) });
      if (problems.length === MOST_TOLD) throw new EnoughError();
    });
  } catch (error) {
    if (!(error instanceof EnoughError)) throw error;
  }
  return problems;
}
