import { connect, type Socket } from "node:net";

export interface Load {
  readonly port: number;
  readonly requests: number;
  /** How many are under way at once, each on a connection of its own. */
  readonly connections: number;
  /** The whole request of that number, from 0. */
  readonly request: (number: number) => Buffer;
}

export interface LoadResult {
  readonly seconds: number;
  /** Milliseconds from the request's first byte to the answer's last. */
  readonly latencies: readonly number[];
}

const DEADLINE = 60_000;
const HEAD_END = Buffer.from("\r\n\r\n");

/** One GraphQL request over HTTP/1.1, with what a client of the API sends. */
export function graphqlRequest(token: string, query: string, variables: unknown): Buffer {
  const body = JSON.stringify({ query, variables });
  const head = [
    "POST /graphql HTTP/1.1",
    "host: 127.0.0.1",
    `authorization: Bearer ${token}`,
    "content-type: application/json",
    "accept: application/graphql-response+json, application/json",
    "user-agent: auditql-bench",
    `content-length: ${String(Buffer.byteLength(body))}`,
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/**
 * Sends a number of requests, the next on a connection as soon as its last was answered. It writes to sockets by
 * itself: what a full HTTP client uses of the CPU would be taken from the servers that are measured.
 *
 * @throws Error for any answer that is not a 200 without errors
 */
export async function drive({ port, requests, connections, request }: Load): Promise<LoadResult> {
  const prepared = Array.from({ length: requests }, (_, number) => request(number));
  const latencies: number[] = [];
  let next = 0;
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const begun = performance.now();
  const work = async (socket: Socket) => {
    for (let bytes = prepared[next++]; bytes; bytes = prepared[next++]) {
      const sent = performance.now();
      const body = await exchange(socket, bytes);
      latencies.push(performance.now() - sent);
      if (body.includes('"errors"')) throw new Error(`The server answered with an error: ${body.slice(0, 500)}`);
    }
  };
  try {
    await Promise.all(sockets.map(work));
    return { seconds: (performance.now() - begun) / 1_000, latencies };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Sends one request on a connection of its own. */
export async function ask(port: number, bytes: Buffer): Promise<unknown> {
  const socket = await open(port);
  try {
    return JSON.parse(await exchange(socket, bytes)) as unknown;
  } finally {
    socket.destroy();
  }
}

export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/** The body of the answer to one request. @throws Error where its status isn't 200 or its length isn't said */
export function exchange(socket: Socket, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const end = (error: Error | null, body = "") => {
      clearTimeout(timer);
      socket.removeAllListeners();
      if (error) reject(error);
      else resolve(body);
    };
    const timer = setTimeout(() => end(new Error("No answer came within a minute.")), DEADLINE);
    socket.on("error", (error) => end(error));
    socket.on("close", () => end(new Error("The server closed the connection before it had answered.")));
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const headEnd = received.indexOf(HEAD_END);
      if (headEnd < 0) return;
      const head = received.toString("latin1", 0, headEnd);
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
        end(new Error(`The server answered: ${received.toString("utf8").slice(0, 800)}`));
        return;
      }
      const total = headEnd + HEAD_END.length + Number(length);
      if (received.length >= total) end(null, received.toString("utf8", headEnd + HEAD_END.length, total));
    });
    socket.write(bytes);
  });
}
