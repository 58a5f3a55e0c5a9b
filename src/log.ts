import { pino, stdTimeFunctions, type Logger } from "pino";
import type { Config } from "./config.js";
import { humanLine } from "./log/human-line.js";
import { safeError } from "./log/safe-error.js";
import { standardError } from "./standard-error.js";

export type { Logger } from "pino";

/**
 * The server's log, on standard error: a JSON object a line, in development one for people.
 *
 * Give it names, ids, codes and errors, the latter by the key `error` alone: of those it keeps what holds no value of
 * anyone's. Never give it a request's headers, body, variables or a database's URL.
 */
export function createLog({ logLevel, development }: Pick<Config, "logLevel" | "development">): Logger {
  const lines = standardError();
  return pino(
    {
      level: logLevel,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      errorKey: "error",
      serializers: { error: safeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    development ? { write: (line) => void lines.write(humanLine(line)) } : lines,
  );
}
