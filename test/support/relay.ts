import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** A folder with a socket's place, a spool and a token. */
export interface RelayPlace {
  readonly folder: string;
  readonly socket: string;
  readonly spool: string;
  readonly tokenFile: string;
  remove(): void;
}

export function makePlace(): RelayPlace {
  const folder = mkdtempSync(join(tmpdir(), "auditql-relay-"));
  const place = {
    folder,
    socket: join(folder, "relay.sock"),
    spool: join(folder, "spool"),
    tokenFile: join(folder, "token"),
  };
  writeFileSync(place.tokenFile, "first-token\n");
  return { ...place, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface RunningCommand {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Of `/metrics` and `/healthz`, such as `http://127.0.0.1:41234`. */
  monitor(): string;
  /** A series by its name and labels; 0 where it hasn't been counted. */
  metric(series: string): Promise<number>;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/**
 * Runs `auditctl` with these arguments, by its real command.
 *
 * @param env what it gets beside this process's own
 * @param stderr a file descriptor that its log goes to
 */
export function auditctl(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stderr: "pipe" | number = "pipe",
): RunningCommand {
  const child = spawn(process.execPath, [join("dist", "src", "cli", "auditctl.js"), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", stderr],
  });
  const said = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  const exited = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  const killed = (): void => void child.kill("SIGKILL");
  process.once("exit", killed);
  void exited.then(() => process.off("exit", killed));
  const monitor = (): string => /^metrics (\S+)\/metrics$/m.exec(said.stdout)?.[1] ?? "";
  return {
    pid: child.pid ?? 0,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    monitor,
    exited,
    metric: async (series) => {
      const text = await (await fetch(`${monitor()}/metrics`)).text();
      const line = text.split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length + 1));
    },
    end: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Runs a relay until it is ready, or has ended. */
export async function startRelay(
  place: RelayPlace,
  url: string,
  more: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  stderr: "pipe" | number = "pipe",
): Promise<RunningCommand> {
  const paths = ["--socket", place.socket, "--to", url, "--token-file", place.tokenFile, "--spool", place.spool];
  const relay = auditctl(["relay", ...paths, "--metrics-port", "0", ...more], env, stderr);
  let hasEnded = false;
  void relay.exited.then(() => (hasEnded = true));
  await until(() => hasEnded || /^metrics /m.test(relay.stdout()), { what: "the relay is ready", deadline: 10_000 });
  return relay;
}

export interface SocketAnswer {
  readonly status: number;
  /** Null for what isn't JSON. */
  readonly body: {
    readonly data?: { readonly reportAuditEntries: { readonly accepted: number } };
    readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[];
  } | null;
}

/** Status and code, as a refusal is told. */
export const told = ({ status, body }: SocketAnswer): unknown => [status, body?.errors?.[0]?.extensions.code];

export const keepAlive = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });

/** Sends a body to a Unix socket as a reporter does; rejects where the connection breaks. */
export async function post(
  socketPath: string,
  body: string | Buffer,
  agent?: Agent,
  path = "/graphql",
): Promise<SocketAnswer> {
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const asked = request({ socketPath, path, method: "POST", headers, ...(agent && { agent }) });
  // What is answered before all of it is read ends the connection.
  asked.on("error", () => undefined);
  const answered = once(asked, "response");
  asked.end(body);
  const [response] = (await answered) as [import("node:http").IncomingMessage];
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += String(part);
  return { status: response.statusCode ?? 0, body: parse(text) };
}

/** A connection that says what it likes. */
export interface Talk {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  /** What it was answered so far. */
  readonly said: () => string;
}

/** Connects to a Unix socket; it may be closed again by the time this resolves. */
export async function talkTo(socketPath: string): Promise<Talk> {
  const socket = connect(socketPath);
  let said = "";
  socket.setEncoding("utf8").on("data", (text: string) => (said += text));
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  return { socket, closed, said: () => said };
}

function parse(text: string): SocketAnswer["body"] {
  try {
    return JSON.parse(text) as SocketAnswer["body"];
  } catch {
    return null;
  }
}

export const source = { program: "boundary", version: "1.0.0", host: "host-1" };

/** So many entries of a session, from a number on. */
export const entriesFrom = (
  first: number,
  count: number,
): { readonly sequenceNumber: string; readonly [field: string]: unknown }[] =>
  Array.from({ length: count }, (_, at) => ({
    sequenceNumber: String(first + at),
    claimedAt: "2026-11-22T06:00:00.000Z",
    resourceType: "http_request",
    action: "REQUEST",
    outcome: "SUCCESS",
    fields: { method: "GET", url: `https://example.com/${String(first + at)}`, rule: "default" },
  }));

/** A reporter's call, as text. */
export const callOf = (
  sessionId: string,
  entries: readonly unknown[],
  more: Readonly<Record<string, unknown>> = {},
): string => JSON.stringify({ query: "mutation { … }", variables: { input: { sessionId, source, entries, ...more } } });

/** Numbers as text, from 0. */
export const numbersTo = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));
