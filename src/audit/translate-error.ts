import { GraphQLError } from "graphql";
import { AuditError, badUserInput, errorCodes, type ErrorCode, type FieldProblem } from "./errors.js";
import { driverError, sqlState } from "./sql-state.js";

/**
 * Turns whatever a mutation threw into what a client may be told; PostgreSQL's own words, which name constraints and
 * values, never are.
 *
 * @param unforeseen logs and counts what no one foresaw, and gives the id under which it is found
 */
export function translateError(error: unknown, prefix: string, unforeseen: (error: unknown) => string): AuditError {
  if (error instanceof AuditError) return error;
  return fromGraphQL(error, prefix) ?? fromDatabase(error) ?? internalError(unforeseen(error), error);
}

function internalError(id: string, cause: unknown): AuditError {
  return new AuditError("INTERNAL", `Something unforeseen happened. Its id in the server's log is ${id}.`, { cause });
}

interface ValidationProblem {
  readonly property: string;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly ValidationProblem[];
}

function fromGraphQL(error: unknown, prefix: string): AuditError | null {
  if (!(error instanceof GraphQLError)) return null;
  const { code, validationErrors } = error.extensions;
  if (Array.isArray(validationErrors))
    return badUserInput(fieldProblems(validationErrors as readonly ValidationProblem[], prefix), error);
  if (code === "UNAUTHORIZED") return new AuditError("FORBIDDEN", error.message, { cause: error });
  if (typeof code === "string" && code in errorCodes && code !== "INTERNAL")
    return new AuditError(code as ErrorCode, error.message, { cause: error });
  return null;
}

function fieldProblems(problems: readonly ValidationProblem[], prefix: string): FieldProblem[] {
  return problems.flatMap(({ property, constraints, children }) => {
    const field = prefix === "" ? property : `${prefix}.${property}`;
    // class-validator begins its messages with the property, which is said already.
    const own = Object.values(constraints ?? {}).map((message) => ({
      field,
      message: message.startsWith(`${property} `) ? message.slice(property.length + 1) : message,
    }));
    return [...own, ...fieldProblems(children ?? [], field)];
  });
}

function fromDatabase(error: unknown): AuditError | null {
  const state = sqlState(error);
  if (state === null) return isConnectionError(error) ? unavailable(error) : null;
  const told = tellings[state] ?? tellings[state.slice(0, 2)];
  return told ? new AuditError(told[0], told[1], { cause: error }) : null;
}

const invalid = ["BAD_USER_INPUT", "A value isn't one that the database can hold."] as const;
const stopped = ["TIMEOUT", "It took longer than it may, so nothing was changed. Try again later."] as const;
const away = ["UNAVAILABLE", "The database can't be reached just now. Try again later."] as const;

/** By SQLSTATE, or by its class: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const tellings: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  "23505": ["CONFLICT", "Another one has the same value where it must be unique."],
  "23503": ["NOT_FOUND", "What it refers to doesn't exist, or something still refers to it."],
  "23502": invalid,
  "23514": invalid,
  "22": invalid,
  "40001": ["CONFLICT", "Others changed the same things at the same time, again and again. Try again later."],
  "40P01": ["CONFLICT", "Others changed the same things at the same time, again and again. Try again later."],
  "55P03": stopped,
  "57014": stopped,
  "25P03": stopped,
  "25P04": stopped,
  "08": away,
  "53": away,
  "55000": away,
  "57P01": away,
  "57P02": away,
  "57P03": away,
  "57P05": away,
  "25006": away,
};

function unavailable(cause: unknown): AuditError {
  return new AuditError(away[0], away[1], { cause });
}

const connectionCodes = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"]);

function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && connectionCodes.has(code)) return true;
  // pg, its pool and TypeORM, whose runner loses its connection with it, give these no code of their own.
  return (
    /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered|Client was closed|Cannot use a pool|Query runner already released|Database connection provided by a query runner was already released)/i.test(
      error.message,
    ) || isConnectionError(driverError(error) ?? error.cause)
  );
}
