import { destination } from "pino";

const MOST_UNWRITTEN = 1024 * 1024;

/**
 * Where a process's log goes. What can't be written there, such as to a file on a full disk, ends nothing: it is written
 * with what comes later, a mebibyte of it at most.
 */
export function standardError(): ReturnType<typeof destination> {
  // Written at once: what is said just before the end isn't lost.
  const lines = destination({ dest: 2, sync: true, maxLength: MOST_UNWRITTEN });
  lines.on("error", () => undefined);
  return lines;
}
