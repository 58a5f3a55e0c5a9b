import { once } from "node:events";
import { chmod, lstat, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import { takeFolderLock } from "../disk/folder-lock.js";
import { StartError } from "../start-error.js";

/** How long whoever listens there may take to accept. */
const ACCEPT = 2_000;
/** For the owner and the group. */
const MODE = 0o660;

export interface UnixSocket {
  /** Lets another process have the path; the server's own close removes the socket. */
  release(): Promise<void>;
}

/**
 * Lets a server listen on a Unix socket as well. What an ended process left there is taken away.
 *
 * @throws StartError where another process listens there, or the path is no socket's
 */
export async function listenOnSocket(server: Server, path: string): Promise<UnixSocket> {
  const lock = await takeFolderLock(`${path}.lock`, (holder) => unusable(path, `it is ${holder}'s`)).catch(
    (cause: unknown) => {
      throw cause instanceof StartError ? cause : unusable(path, "its folder can't be written to", cause);
    },
  );
  try {
    await removeStale(path);
    await bind(server, path);
  } catch (cause) {
    await lock.release();
    throw cause instanceof StartError ? cause : unusable(path, `the system refuses it (${codeOf(cause)})`, cause);
  }
  return lock;
}

/** The socket is made with the mode that it is to have: at no moment may others connect. */
async function bind(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o777 & ~MODE);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await once(server, "listening");
  await chmod(path, MODE);
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  });
  if (found === null) return;
  if (!found.isSocket()) throw unusable(path, "something else than a socket is there");
  if (await isServed(path)) throw unusable(path, "another program listens there");
  await unlink(path);
}

/** Who doesn't answer in time is there all the same. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ACCEPT, () => done(true));
    socket.once("connect", () => done(true));
    socket.once("error", (error) => done(!["ECONNREFUSED", "ENOENT"].includes(codeOf(error))));
  });
}

const unusable = (path: string, why: string, cause?: unknown): StartError =>
  new StartError(`AUDIT_SOCKET, ${path}, can't be used: ${why}. End what uses it, or set another path.`, 78, { cause });

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown";
