import { z } from "zod";
import type { Caller } from "./callers.js";
import { DemoFailure } from "./failure.js";

const answer = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z
    .array(z.object({ message: z.string(), extensions: z.object({ code: z.string().optional() }).optional() }))
    .default([]),
  extensions: z
    .object({
      audit: z
        .array(z.object({ path: z.array(z.union([z.string(), z.number()])), entryIds: z.array(z.string()) }))
        .default([]),
    })
    .default({ audit: [] }),
});

/** A GraphQL response: what stands in `data` is for whoever asked to judge. */
export type Answer = z.output<typeof answer>;

const deadline = 15_000;

/** Sends GraphQL operations to one server, every one with the same trace id. */
export class Client {
  constructor(
    readonly url: string,
    readonly traceId: string,
  ) {}

  /** @throws DemoFailure where nothing answers within 15 seconds, or what answers doesn't speak GraphQL */
  async send(caller: Caller, query: string, variables: Readonly<Record<string, unknown>>): Promise<Answer> {
    const text = await this.#post(caller, JSON.stringify({ query, variables }));
    const parsed = answer.safeParse(jsonOf(text));
    if (parsed.success) return parsed.data;
    throw new DemoFailure(`${this.url} doesn't answer as a GraphQL server: ${text.slice(0, 200)}`);
  }

  async #post(caller: Caller, body: string): Promise<string> {
    const headers = {
      "content-type": "application/json",
      accept: "application/json",
      authorization: `Bearer ${caller.token}`,
      // W3C Trace Context: version, trace, parent and flags.
      traceparent: `00-${this.traceId}-${this.traceId.slice(0, 16)}-01`,
      "x-audit-reason": "The demo",
    };
    // One of its own: that of AbortSignal.timeout doesn't keep the process there to hear of it.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), deadline);
    try {
      const response = await fetch(this.url, { method: "POST", headers, body, signal: late.signal });
      return await response.text();
    } catch (cause) {
      throw new DemoFailure(
        `Nothing answers at ${this.url}: start the server with \`npm start\`, give its PORT and HOST, or name it with --url.`,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
