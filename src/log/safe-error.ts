import { GraphQLError } from "graphql";
import { AuditError, FENCE_REFUSED } from "../audit/index.js";

/** What the log keeps of an error. Of a refusal of the fence no stack: it was at COMMIT, and shows nothing of who wrote the row. */
export interface SafeError {
  readonly name: string;
  readonly code?: string;
  readonly message?: string;
  /** What to do, where the fence refused. */
  readonly hint?: string;
  /** Names of the database's, such as a table's and a constraint's. */
  readonly at?: Readonly<Record<string, string>>;
  readonly stack?: readonly string[];
  readonly cause?: SafeError;
  readonly errors?: readonly SafeError[];
}

const deepest = 5;
const longestMessage = 1_000;
const mostFrames = 20;

/**
 * An error without anything that may be a value of someone's: no statement, parameters, detail or body, and no message
 * of those kinds that quote what they were given. Causes are kept, five deep.
 */
export function safeError(error: unknown): SafeError {
  return describe(error, deepest, fenceHint(error) === undefined);
}

function describe(error: unknown, depth: number, withStack: boolean): SafeError {
  if (!(error instanceof Error)) return { name: typeof error };
  const known = error as Error & { readonly code?: unknown };
  const stack = withStack ? framesOf(error) : [];
  const inner = innerOf(error);
  return {
    name: error.name,
    ...(typeof known.code === "string" && { code: known.code }),
    ...(!quotes(error) && { message: error.message.slice(0, longestMessage) }),
    ...hintOf(error),
    ...placeOf(error),
    ...(stack.length > 0 && { stack }),
    ...(inner instanceof Error && inner !== error && depth > 0 && { cause: describe(inner, depth - 1, withStack) }),
    ...(error instanceof AggregateError &&
      depth > 0 && { errors: error.errors.slice(0, deepest).map((each) => describe(each, depth - 1, withStack)) }),
  };
}

/**
 * PostgreSQL's class 22 and parsers quote the value that they refuse, its RAISE and ASSERT say what their author liked, and
 * graphql-js quotes the document and the variables.
 */
function quotes(error: Error): boolean {
  if (error instanceof AuditError) return false;
  if (error instanceof SyntaxError || error instanceof GraphQLError) return true;
  const { code, driverError, routine } = error as Error & Readonly<Record<string, unknown>>;
  if (isFence(error)) return false;
  // What an ORM says is what its driver said.
  if (driverError instanceof Error) return true;
  if (typeof routine === "string" && routine.startsWith("exec_stmt_")) return true;
  return typeof code === "string" && /^22[0-9A-Z]{3}$/.test(code);
}

/** What to do, where the fence refused and said so; undefined for every other error. */
export function fenceHint(error: unknown): string | undefined {
  for (let at = error, depth = deepest; at instanceof Error && depth > 0; depth--) {
    if (isFence(at)) return hintOf(at).hint;
    at = innerOf(at);
  }
  return undefined;
}

/** What stands behind an error: what its driver, or graphql-js, wrapped, or its cause. */
function innerOf(error: Error): unknown {
  const { driverError } = error as { readonly driverError?: unknown };
  return driverError ?? error.cause ?? (error instanceof GraphQLError && error.originalError);
}

/** The fence's own words: a table, an id, fields, and the remedy. An ORM's error has its code too, but other words. */
function isFence(error: Error): boolean {
  const { code, constraint, schema, driverError } = error as Error & Readonly<Record<string, unknown>>;
  return code === FENCE_REFUSED && constraint === "fence" && schema === "audit" && !(driverError instanceof Error);
}

function hintOf(error: Error): { readonly hint?: string } {
  const { hint } = error as { hint?: unknown };
  return isFence(error) && typeof hint === "string" ? { hint: hint.slice(0, longestMessage) } : {};
}

const places = ["schema", "table", "column", "constraint", "dataType", "routine", "syscall"] as const;

function placeOf(error: Error): { readonly at?: Readonly<Record<string, string>> } {
  const named = error as Partial<Record<(typeof places)[number], unknown>>;
  const found = places.flatMap((place) => {
    const name = named[place];
    return typeof name === "string" ? [[place, name] as const] : [];
  });
  return found.length > 0 ? { at: Object.fromEntries(found) } : {};
}

/** The stack begins with the message; only what follows names places alone. */
function framesOf({ stack }: Error): string[] {
  const lines = (stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return lines.slice(0, mostFrames).map((line) => line.trim());
}
