import { pino, stdSerializers, stdTimeFunctions, type Logger } from "pino";
import { standardError } from "../standard-error.js";

export type RelayLog = Logger;

/** What is kept of an error: nothing that it may have been given. */
interface ToldError {
  readonly name: string;
  readonly code?: unknown;
  readonly message?: string;
}

/**
 * The relay's log, on standard error: a JSON object a line. Give it names, ids, counts and codes; never an entry, a body or
 * a token.
 */
export function createRelayLog(): RelayLog {
  return pino(
    {
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      errorKey: "error",
      serializers: { error: toldError },
      formatters: { level: (label) => ({ level: label }) },
    },
    standardError(),
  );
}

function toldError(error: unknown): ToldError {
  if (!(error instanceof Error)) return { name: typeof error };
  const { type, code, message } = stdSerializers.err(error) as ReturnType<typeof stdSerializers.err> & {
    code?: unknown;
  };
  // A parser quotes what it was given.
  return { name: type, ...(code !== undefined && { code }), ...(!(error instanceof SyntaxError) && { message }) };
}
