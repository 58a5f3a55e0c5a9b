import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import { createDatabase, type TestDatabase } from "./postgres.js";

export interface ServerOptions {
  /** Where it keeps its data: one of the test's own; a new one, dropped at the stop, where none is given; null for the
   * PostgreSQL that the server embeds. */
  readonly database?: TestDatabase | null;
  /** Over what is set otherwise; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called once the process is there, long before it serves; `stderr` gives what it has said so far. */
  readonly whileStarting?: (pid: number, stderr: () => string) => Promise<void>;
}

/** What a token says: by its claims' names, but for `subject`; whatever else is given stands in it as it is. */
export interface TokenClaims {
  readonly subject?: string;
  readonly name?: string;
  readonly tenant?: string;
  readonly roles?: readonly string[];
  readonly [claim: string]: unknown;
}

export interface RequestOptions {
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface ResponseError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  readonly extensions: {
    readonly code: string;
    readonly fields?: readonly { readonly field: string; readonly message: string }[];
  };
}

export interface OperationReport {
  readonly path: readonly (string | number)[];
  readonly entryIds: readonly string[];
  readonly sessionId: string;
  readonly sequenceNumber: string;
}

export interface Answer<Data> {
  readonly status: number;
  readonly headers: Headers;
  /** The server's own name for the request. */
  readonly requestId: string;
  readonly data: Data | null | undefined;
  readonly errors: readonly ResponseError[] | undefined;
  readonly extensions:
    { readonly audit?: readonly OperationReport[]; readonly replicaLagSeconds?: number | null } | undefined;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TestServer {
  readonly pid: number;
  /** Such as `http://127.0.0.1:41234`. */
  readonly origin: string;
  /** Of `/graphql`. */
  readonly url: string;
  /** Null for the embedded one. */
  readonly database: TestDatabase | null;
  readonly dataDir: string;
  readonly exited: Promise<Exit>;
  /** Sends one GraphQL request; a status other than 200 is an answer too. */
  request<Data = Record<string, unknown>>(query: string, options?: RequestOptions): Promise<Answer<Data>>;
  /** Any request, to a path of the server's. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Signs a token that the server believes, for five minutes. */
  token(claims?: TokenClaims): Promise<string>;
  stdout(): string;
  stderr(): string;
  /** Sends the signal, SIGTERM where none is given, waits for the end, and removes what was made for this server. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const issuer = "https://issuer.test/";
const audience = "auditql-test";
const readyDeadline = 30_000;
const stopDeadline = 15_000;

/** The issuer of this test file: one pair of keys for all its servers. */
const keys = generateKeyPair("ES256", { extractable: true });

const running = new Set<ChildProcess>();
// A signal makes Vitest exit without running what was to be done after the tests.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** The server could not be started; what it said is in the message. */
export class ServerStartError extends Error {
  constructor(
    readonly exit: Exit | null,
    readonly stdout: string,
    readonly stderr: string,
  ) {
    super(`The server didn't start (${exit ? `exit ${exit.code ?? exit.signal}` : "in time"}):\n${stdout}\n${stderr}`);
  }
}

/**
 * Starts the API as it is started in production, on a free port, and waits until it serves.
 *
 * @throws ServerStartError with the exit code and all it said, where it ends instead
 */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const database = options.database === undefined ? await createDatabase() : options.database;
  const dataDir = mkdtempSync(join(tmpdir(), "auditql-server-"));
  // As root, an embedded PostgreSQL runs as another user, who has to enter the folder.
  await chmod(dataDir, 0o755);
  const undo = async (): Promise<void> => {
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
    if (options.database === undefined) await database?.drop();
  };
  const env = { ...(await settings(database, dataDir)), ...options.env };
  const child = spawn(process.execPath, [join("dist", "src", "main.js")], { cwd: root, env, stdio: "pipe" });
  const said = listen(child);
  const exited = ended(child);
  try {
    const [url] = await Promise.all([
      readyUrl(child, said, exited),
      options.whileStarting?.(child.pid ?? 0, () => said.stderr),
    ]);
    return serverOf(child, url, { database, dataDir, said, exited, undo });
  } catch (error) {
    child.kill("SIGKILL");
    await exited;
    await undo();
    throw error;
  }
}

/** Starts a server that isn't expected to serve, and answers how it ended and what it said. */
export async function startInVain(options: ServerOptions = {}): Promise<ServerStartError> {
  try {
    const server = await startServer(options);
    await server.stop("SIGKILL");
  } catch (error) {
    if (error instanceof ServerStartError) return error;
    throw error;
  }
  throw new Error("The server started, and should not have.");
}

interface Said {
  stdout: string;
  stderr: string;
}

interface Parts {
  readonly database: TestDatabase | null;
  readonly dataDir: string;
  readonly said: Said;
  readonly exited: Promise<Exit>;
  readonly undo: () => Promise<void>;
}

function serverOf(child: ChildProcess, url: string, { database, dataDir, said, exited, undo }: Parts): TestServer {
  const { origin } = new URL(url);
  let stopped: Promise<Exit> | undefined;
  const stop = async (signal: NodeJS.Signals): Promise<Exit> => {
    child.kill(signal);
    const exit = await within(exited, stopDeadline, `the server to end after ${signal}:\n${said.stderr}`, child);
    await undo();
    return exit;
  };
  return {
    pid: child.pid ?? 0,
    origin,
    url,
    database,
    dataDir,
    exited,
    request: (query, requestOptions) => request(url, query, requestOptions),
    fetch: (path, init) => fetch(new URL(path, origin), init),
    token,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    stop: (signal = "SIGTERM") => (stopped ??= stop(signal)),
  };
}

async function request<Data>(url: string, query: string, options: RequestOptions = {}): Promise<Answer<Data>> {
  const { variables, operationName, token: bearer, headers, signal } = options;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...headers,
    },
    body: JSON.stringify({ query, variables, operationName }),
    ...(signal && { signal }),
  });
  const body = (await response.json()) as Pick<Answer<Data>, "data" | "errors" | "extensions">;
  const requestId = response.headers.get("x-request-id") ?? "";
  const { data, errors, extensions } = body;
  return { status: response.status, headers: response.headers, requestId, data, errors, extensions };
}

async function token({ subject = "u-1", ...claims }: TokenClaims = {}): Promise<string> {
  const { privateKey } = await keys;
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: audience, sub: subject, jti: randomUUID(), iat: now, exp: now + 300, ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", typ: "JWT" }).sign(privateKey);
}

async function settings(database: TestDatabase | null, dataDir: string): Promise<NodeJS.ProcessEnv> {
  const keyFile = join(dataDir, "issuer.pem");
  writeFileSync(keyFile, await exportSPKI((await keys).publicKey));
  return {
    PATH: process.env["PATH"],
    NODE_ENV: "production",
    PORT: "0",
    DATA_DIR: dataDir,
    LOG_LEVEL: "info",
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWT_PUBLIC_KEY_FILE: keyFile,
    ...(database && { DATABASE_URL: database.apiUrl, READ_DATABASE_URL: database.readerUrl }),
  };
}

function listen(child: ChildProcess): Said {
  const said: Said = { stdout: "", stderr: "" };
  running.add(child);
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  return said;
}

async function ended(child: ChildProcess): Promise<Exit> {
  // `close` comes after all that it said.
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  running.delete(child);
  return { code, signal };
}

async function readyUrl(child: ChildProcess, said: Said, exited: Promise<Exit>): Promise<string> {
  const ready = /^ready (http:\/\/\S+)\n/m;
  const served = new Promise<string>((resolve) => {
    const look = (): void => {
      const url = ready.exec(said.stdout)?.[1];
      if (url !== undefined) resolve(url);
    };
    child.stdout?.on("data", look);
  });
  const first = await Promise.race([served, exited, timeout(readyDeadline)]);
  if (typeof first === "string") return first;
  throw new ServerStartError(first, said.stdout, said.stderr);
}

async function within(exited: Promise<Exit>, deadline: number, what: string, child: ChildProcess): Promise<Exit> {
  const exit = await Promise.race([exited, timeout(deadline)]);
  if (exit) return exit;
  child.kill("SIGKILL");
  await exited;
  throw new Error(`waited ${String(deadline)} ms in vain for ${what}`);
}

function timeout(milliseconds: number): Promise<null> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds, null).unref());
}
