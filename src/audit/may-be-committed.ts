import { serverError, sqlState } from "./sql-state.js";

/**
 * Classes of SQLSTATE with which a server may end after it has written a commit down, or before its answer came through:
 * the connection's, resources, the operator's farewell, the system's own errors, and internal ones.
 */
const OPEN = /^(?:08|53|57P|58|XX)/;

/**
 * Whether a COMMIT that ran into this error may have been carried out all the same: the connection broke, or the server
 * went down over it, and may find the commit when it recovers.
 */
export function mayBeCommitted(error: unknown): boolean {
  const said = serverError(error);
  return said === null || OPEN.test(said.code) || said.severity === "FATAL" || said.severity === "PANIC";
}

/** Whether it is the connection's own error, told by this side or by what stands between. */
export function isOfConnection(error: unknown): boolean {
  const state = sqlState(error);
  return state === null || state.startsWith("08");
}
