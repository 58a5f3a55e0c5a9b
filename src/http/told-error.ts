import {
  GraphQLError,
  isValueNode,
  Kind,
  type ASTNode,
  type GraphQLSchema,
  type VariableDefinitionNode,
} from "graphql";
import { AuditError, type FieldProblem } from "../audit/index.js";
import { translateError } from "../audit/translate-error.js";
import { variableProblems } from "./variable-problems.js";
import { withoutToken, withoutValue } from "./without-value.js";

/** What a client is told of one error, beside its place in the document and in the response. */
export interface ToldError {
  readonly message: string;
  readonly code: string;
  readonly fields?: readonly FieldProblem[];
}

/** What the request asked, as far as it is known. */
export interface AskedVariables {
  readonly schema: GraphQLSchema;
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Turns the errors of one response into what the client is told, in their order. Nothing that they quote of the
 * request's values is left in, and nothing of the database's words.
 *
 * @param unforeseen logs and counts what no one foresaw, and gives the id under which it is found
 */
export function toldErrors(
  errors: readonly GraphQLError[],
  asked: AskedVariables | null,
  unforeseen: (error: unknown, path: string) => string,
): ToldError[] {
  const problems = new Map<ASTNode, FieldProblem[]>();
  const nextProblem = (node: VariableDefinitionNode): FieldProblem | undefined => {
    const left = problems.get(node) ?? (asked ? variableProblems(asked.schema, node, asked.values) : []);
    problems.set(node, left);
    return left.shift();
  };
  return errors.map((error) => {
    if (error.path) return executionError(error, (thrown) => unforeseen(thrown, error.path?.join(".") ?? ""));
    const [node] = error.nodes ?? [];
    if (node?.kind === Kind.VARIABLE_DEFINITION && codeOf(error) === "BAD_USER_INPUT")
      return variableError(node, nextProblem(node));
    return requestError(error, (thrown) => unforeseen(thrown, "the request"));
  });
}

/** What a resolver threw, or what became of its result. */
function executionError(error: GraphQLError, unforeseen: (error: unknown) => string): ToldError {
  const thrown = error.originalError ?? error;
  if (thrown instanceof GraphQLError && thrown.nodes && thrown.message.startsWith('Argument "')) {
    const field = /^Argument "(\w+)"/.exec(thrown.message)?.[1] ?? "";
    const message = withoutValue(thrown);
    return { message, code: "BAD_USER_INPUT", fields: [{ field, message }] };
  }
  return told(translateError(thrown, "", unforeseen));
}

function variableError({ variable }: VariableDefinitionNode, problem: FieldProblem | undefined): ToldError {
  const name = variable.name.value;
  const field = problem?.field ?? name;
  const message = problem?.message ?? "isn't valid";
  const place = field === name ? `Variable "$${name}"` : `Variable "$${name}" at "${field}"`;
  const words = /^[A-Z]/.test(message) ? `${place}: ${message}` : `${place} ${message}.`;
  return { message: words, code: "BAD_USER_INPUT", fields: [{ field, message }] };
}

/** What was wrong before anything was executed. */
function requestError(error: GraphQLError, unforeseen: (error: unknown) => string): ToldError {
  const code = codeOf(error);
  switch (code) {
    case "GRAPHQL_PARSE_FAILED": {
      const tooLong = tooLongToParse(error);
      if (tooLong !== null) return { message: tooLong, code: "LIMIT_EXCEEDED" };
      return { message: withoutToken(error.message), code };
    }
    case "GRAPHQL_VALIDATION_FAILED":
      if (error.extensions["validationErrorCode"] === "MAX_RECURSIVE_SELECTIONS_EXCEEDED")
        return { message: error.message, code: "LIMIT_EXCEEDED" };
      if (/Validation aborted\.$/.test(error.message)) return tooCostlyToValidate;
      return { message: quotesValue(error) ? withoutValue(error) : error.message, code };
    case "INTERNAL_SERVER_ERROR":
      if (/^Too many errors processing variables/.test(error.message)) return tooManyVariableErrors;
      // graphql-js refuses with an error of its own, and of no one else's making.
      if (!(error.originalError && !(error.originalError instanceof GraphQLError)))
        return { message: error.message, code: "BAD_USER_INPUT" };
      return told(translateError(error.originalError, "", unforeseen));
    default:
      return { message: error.message, code, ...fieldsOf(error) };
  }
}

/** Where graphql-js gives up: the errors before this one name their fields. */
const tooManyVariableErrors: ToldError = {
  message: "More of the variables' values are wrong than are told.",
  code: "BAD_USER_INPUT",
  fields: [{ field: "variables", message: "hold more errors than are told" }],
};
const tooCostlyToValidate: ToldError = {
  message: "The document takes too long to validate, or has too many errors; split it.",
  code: "LIMIT_EXCEEDED",
};

/** What graphql-js, which has no code for it, says by a message or by running out of stack. */
function tooLongToParse({ message, originalError }: GraphQLError): string | null {
  if (/^Syntax Error: Document contains more that \d+ tokens/.test(message))
    return "The document has too many tokens; send fewer fields, or values as variables.";
  const cause = originalError instanceof GraphQLError ? originalError.originalError : originalError;
  return cause instanceof RangeError ? "The document is nested too deeply." : null;
}

const quotesValue = ({ nodes }: GraphQLError): boolean =>
  nodes?.some((node) => isValueNode(node) && node.kind !== Kind.VARIABLE) ?? false;

const told = (error: AuditError): ToldError => ({ message: error.message, code: error.code, ...fieldsOf(error) });

function fieldsOf({ extensions }: GraphQLError): { readonly fields?: readonly FieldProblem[] } {
  const { fields } = extensions;
  return Array.isArray(fields) ? { fields: fields as readonly FieldProblem[] } : {};
}

function codeOf({ extensions }: GraphQLError): string {
  return typeof extensions["code"] === "string" ? extensions["code"] : "INTERNAL_SERVER_ERROR";
}
