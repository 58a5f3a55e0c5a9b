import { once } from "node:events";
import { chmod, lstat, stat, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { codeOf } from "./disk/code-of.js";
import { takeFolderLock } from "./disk/folder-lock.js";

/** How long whoever listens there may take to accept. */
const ACCEPT = 2_000;
/** For the owner and the group. */
const MODE = 0o660;
/** What every system takes; Node cuts a longer one off and listens elsewhere. */
const LONGEST_PATH = 100;

export interface UnixSocket {
  /** Lets another process have the path; the server's own close removes the socket. */
  release(): Promise<void>;
}

/** A path can't be listened on. */
export class UnixSocketError extends Error {
  override readonly name = "UnixSocketError";

  /**
   * @param why as half a sentence, such as `it is process 42's`
   * @param remedy what to do, as a sentence
   */
  constructor(
    path: string,
    readonly why: string,
    readonly remedy = "End what uses it, or name another path.",
    options?: ErrorOptions,
  ) {
    super(`${path} can't be used: ${why}. ${remedy}`, options);
  }
}

/**
 * Looks at a socket's path before anything is made. Its folder has to be there already: who may connect is said by its mode
 * and group, which nobody has said yet.
 *
 * @throws UnixSocketError where it is too long or the folder isn't there, with what to do
 */
export async function requireSocketPath(path: string): Promise<void> {
  if (path === "" || Buffer.byteLength(path) > LONGEST_PATH)
    throw new UnixSocketError(path, `it isn't of 1 to ${LONGEST_PATH} octets`, "Name another path.");
  const folder = dirname(path);
  const remedy = `Make it for those that may connect, such as by: install -d -o USER -g GROUP -m 2750 ${folder}`;
  await stat(folder).catch((cause: unknown) => {
    // What else there is against it shows when the socket is made.
    if (codeOf(cause) === "ENOENT") throw new UnixSocketError(path, "its folder isn't there", remedy, { cause });
  });
}

/**
 * Lets a server listen on a Unix socket as well, of mode 0660. What an ended process left there is taken away.
 *
 * @throws UnixSocketError where the path is too long, its folder isn't there, another process listens there, or it is no socket's
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<UnixSocket> {
  await requireSocketPath(path);
  const inUse = (holder: string): Error => new UnixSocketError(path, `it is ${holder}'s`);
  const lock = await takeFolderLock(`${path}.lock`, inUse).catch((cause: unknown) => {
    throw typed(cause, path, "its folder can't be written to");
  });
  try {
    await removeStale(path);
    await bind(server, path);
  } catch (cause) {
    await lock.release();
    throw typed(cause, path, `the system refuses it (${codeOf(cause) ?? "unknown"})`);
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
  if (!found.isSocket()) throw new UnixSocketError(path, "something else than a socket is there");
  if (await isServed(path)) throw new UnixSocketError(path, "another program listens there");
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
    socket.once("error", (error) => done(!["ECONNREFUSED", "ENOENT"].includes(codeOf(error) ?? "")));
  });
}

const typed = (cause: unknown, path: string, why: string): UnixSocketError =>
  cause instanceof UnixSocketError ? cause : new UnixSocketError(path, why, undefined, { cause });
