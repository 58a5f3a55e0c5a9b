import { Agent as HttpAgent, request as requestHttp, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps, type RequestOptions } from "node:https";
import type { ReporterSettings } from "./options.js";

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** A call that got no answer, or none that can be read. */
export class CallError extends Error {
  override readonly name = "CallError";

  constructor(
    message: string,
    options?: ErrorOptions,
    /** Whether the other side was too slow, as it is with too many entries. */
    readonly isTimeout = false,
  ) {
    super(message, options);
  }
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Where calls go: over HTTP, HTTPS or a Unix socket, on a connection that is kept. */
export class Connection {
  readonly #agent: HttpAgent;
  readonly #request: (options: RequestOptions) => ClientRequest;

  constructor(
    target: ReporterSettings["target"],
    /** In milliseconds, from the first octet sent to the last one read. */
    readonly timeout: number,
  ) {
    const isTls = "url" in target && target.url.protocol === "https:";
    // Nobody else is to get token and entries, also where NODE_TLS_REJECT_UNAUTHORIZED lets the process trust anybody.
    const options = { keepAlive: true, maxSockets: 1, rejectUnauthorized: true };
    this.#agent = new (isTls ? HttpsAgent : HttpAgent)(options);
    const where = placeOf(target);
    this.#request = (options) => (isTls ? requestHttps : requestHttp)({ ...where, ...options, agent: this.#agent });
  }

  /** @throws CallError where there is no whole answer within the time, whatever the other side does */
  post(body: string, token: string | null, signal: AbortSignal): Promise<HttpAnswer> {
    const octets = Buffer.from(body);
    const request = this.#request({
      method: "POST",
      signal,
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        "content-length": octets.length,
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
    });
    return new Promise<HttpAnswer>((resolve, reject) => {
      const fail = (cause: Error): void => {
        clearTimeout(timer);
        reject(cause instanceof CallError ? cause : new CallError(whyOf(cause), { cause }));
      };
      const timer = setTimeout(() => {
        const late = new CallError(`there was no answer within ${this.timeout} ms`, {}, true);
        request.destroy(late);
        // Of one whose connection is gone already, as behind a change of the protocol, no event tells.
        fail(late);
      }, this.timeout).unref();
      request.on("error", fail);
      request.once("response", (response) => {
        readAll(response)
          .then((text) => {
            clearTimeout(timer);
            resolve({ status: response.statusCode ?? 0, text });
          })
          .catch((error: unknown) => {
            request.destroy();
            fail(error instanceof Error ? error : new CallError(String(error)));
          });
      });
      request.end(octets);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function placeOf(target: ReporterSettings["target"]): RequestOptions {
  if ("socketPath" in target) return { socketPath: target.socketPath, path: "/graphql", host: "localhost" };
  const { hostname, port, pathname, search } = target.url;
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    path: `${pathname}${search}`,
    ...(port !== "" && { port: Number(port) }),
  };
}

async function readAll(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) throw new CallError("the answer is longer than 4 MiB");
  }
  if (!response.complete) throw new CallError("the answer was cut off");
  return Buffer.concat(pieces).toString("utf8");
}

/** The system's code says enough, and names nothing secret. */
const whyOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? `the call failed with ${error.code}` : "the call failed";
