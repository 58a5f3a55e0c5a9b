import type { Server } from "node:http";
import { StartError } from "../start-error.js";
import { listenOnUnixSocket, UnixSocketError, type UnixSocket } from "../unix-socket.js";

export type { UnixSocket } from "../unix-socket.js";

/**
 * Lets the API listen on the Unix socket of `AUDIT_SOCKET` as well.
 *
 * @throws StartError where its folder isn't there, another process listens there, or the path is no socket's
 */
export async function listenOnSocket(server: Server, path: string): Promise<UnixSocket> {
  try {
    return await listenOnUnixSocket(server, path);
  } catch (cause) {
    if (!(cause instanceof UnixSocketError)) throw cause;
    const message = `AUDIT_SOCKET, ${path}, can't be used: ${cause.why}. ${cause.remedy}`;
    throw new StartError(message, 78, { cause });
  }
}
