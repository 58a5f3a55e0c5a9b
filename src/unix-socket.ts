import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { link, rename, stat, unlink } from "node:fs/promises";
import { request, type Server } from "node:http";
import { connect } from "node:net";
import { basename, dirname, join, resolve } from "node:path";

/** Another process serves there already. */
export class SocketInUseError extends Error {
  override readonly name = "SocketInUseError";
}

/** The path can't be a socket's: too long, or something else stands there. */
export class SocketPathError extends Error {
  override readonly name = "SocketPathError";
}

/** What every system takes; a longer path would be cut off silently by some. */
const LONGEST_PATH = 103;
const PROBE_MILLISECONDS = 1_000;
/** Owner and group connect, nobody else: 0777 without these bits is 0660. */
const UMASK = 0o117;

/**
 * Makes a server listen on a Unix socket of mode 0660. What a process left behind that ended without removing its socket
 * is taken over; the system removes this one's when the server closes.
 *
 * @throws SocketInUseError naming the process that serves there, as far as it says so
 * @throws SocketPathError where no socket can be there
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<void> {
  const bytes = Buffer.byteLength(resolve(path));
  if (bytes > LONGEST_PATH)
    throw new SocketPathError(`${path} has ${bytes} octets: a socket's path can have ${LONGEST_PATH}.`);
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await bind(server, path)) return;
    const found = await identity(path);
    if (found === null) continue;
    if (!found.isSocket) throw new SocketPathError(`${path} is there and no socket: name another path.`);
    if (await isServed(path)) {
      const pid = await askForProcess(path);
      throw new SocketInUseError(
        `${path} is served by ${pid === null ? "another process" : `process ${String(pid)}`}: end it, or name another path.`,
      );
    }
    await removeStale(path, found.mark);
  }
  throw new SocketInUseError(`${path} is taken by processes that start at once: start one of them.`);
}

/** False where something is there already. */
async function bind(server: Server, path: string): Promise<boolean> {
  const before = process.umask(UMASK);
  try {
    // The socket is made within the call: nobody finds it with another mode, and no other file gets this one.
    server.listen(path);
  } finally {
    process.umask(before);
  }
  try {
    await once(server, "listening");
    return true;
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE") return false;
    throw error;
  }
}

interface Found {
  readonly isSocket: boolean;
  /** Tells it from one that is made there later: an inode's number alone is given again. */
  readonly mark: string;
}

async function identity(path: string): Promise<Found | null> {
  try {
    const found = await stat(path, { bigint: true });
    return { isSocket: found.isSocket(), mark: `${found.dev}.${found.ino}.${found.mtimeNs}` };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** Whether anyone takes connections; one that is too busy to within a second lives. */
async function isServed(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(PROBE_MILLISECONDS) });
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    if (code === "EACCES" || code === "EPERM")
      throw new SocketInUseError(`${path} belongs to someone else: name another path.`, { cause: error });
    return true;
  } finally {
    socket.destroy();
  }
}

/** What a relay or an API answers of itself on its socket; null where it doesn't, within a second. */
async function askForProcess(path: string): Promise<number | null> {
  try {
    const signal = AbortSignal.timeout(PROBE_MILLISECONDS);
    const asked = request({ socketPath: path, path: "/healthz", signal, headers: { connection: "close" } }).end();
    const [response] = (await once(asked, "response", { signal })) as [NodeJS.ReadableStream];
    let text = "";
    for await (const part of response.setEncoding("utf8")) if ((text += String(part)).length > 4_096) return null;
    const { pid } = JSON.parse(text) as { readonly pid?: unknown };
    return typeof pid === "number" ? pid : null;
  } catch {
    return null;
  }
}

/** Between looking and removing, another starter may have replaced it: what is moved aside is looked at again. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}`);
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  if ((await identity(aside))?.mark !== stale) await link(aside, path).catch(() => undefined);
  await unlink(aside);
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
