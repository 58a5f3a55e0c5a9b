import { once } from "node:events";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { member, type Batch } from "./batch.js";
import type { RelayMetrics } from "./metrics.js";
import { TokenFile, TokenFileError } from "./token-file.js";

/** One entry that the API refused, by its place in the call. */
export interface RefusedEntry {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

/** What came of a call. */
export type UpstreamAnswer =
  /** Every entry was judged: all that aren't refused are committed. */
  | { readonly kind: "judged"; readonly refused: readonly RefusedEntry[] }
  /** The whole call, for good: sent again as it is, it would be refused again. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** It isn't known what became of it, or nothing did: it has to be sent again. */
  | { readonly kind: "failed"; readonly reason: string };

/** Whatever else the API may answer is taken for passing: an older version, a proxy's page, a token that ran out. */
const forGood = new Set(["BAD_USER_INPUT", "LIMIT_EXCEEDED", "FORBIDDEN"]);
const LARGEST_ANSWER = 4 * 1024 * 1024;
const LONGEST_MESSAGE = 500;

const DOCUMENT =
  "mutation ReportAuditEntries($input: ReportAuditEntriesInput!) { reportAuditEntries(input: $input) " +
  "{ sessionId accepted repeated refused { index sequenceNumber code message } } }";

/** The API, as the relay speaks to it. */
export class Upstream {
  readonly #agent: HttpAgent;
  readonly #tokenFile: TokenFile;
  readonly #underway = new Set<AbortController>();

  /**
   * @param timeout in milliseconds, from reading the token to the last octet of the answer, also where nobody reads or answers
   * @param connections how many calls at a time
   */
  constructor(
    private readonly url: URL,
    tokenFile: string,
    private readonly timeout: number,
    connections: number,
    private readonly metrics: RelayMetrics,
  ) {
    this.#tokenFile = new TokenFile(tokenFile);
    // Nobody else is to get token and entries, also where NODE_TLS_REJECT_UNAUTHORIZED lets the process trust anybody.
    const options = { keepAlive: true, maxSockets: connections, rejectUnauthorized: true };
    this.#agent = url.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Makes one call; it never rejects, and takes the time-out at most. */
  async report(batch: Batch): Promise<UpstreamAnswer> {
    this.metrics.calls.inc();
    const answer = await this.#report(batch);
    if (answer.kind === "failed") this.metrics.upstreamFailures.inc({ reason: answer.reason });
    return answer;
  }

  /** Cuts off the calls under way: it isn't known what becomes of them. */
  cutOff(): void {
    for (const cut of this.#underway) cut.abort();
  }

  /** Closes the connections. */
  close(): void {
    this.cutOff();
    this.#agent.destroy();
  }

  async #report(batch: Batch): Promise<UpstreamAnswer> {
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), this.timeout);
    this.#underway.add(cut);
    try {
      const { status, text } = await this.#post(JSON.stringify({ query: DOCUMENT, variables: { input: batch } }), cut);
      return judge(status, text, batch.entries.length);
    } catch (error) {
      return { kind: "failed", reason: reasonOf(error, cut.signal.aborted) };
    } finally {
      clearTimeout(timer);
      this.#underway.delete(cut);
    }
  }

  async #post(body: string, { signal }: AbortController): Promise<{ readonly status: number; readonly text: string }> {
    const token = await this.#tokenFile.read(signal);
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json",
      "content-length": Buffer.byteLength(body),
    };
    const send = this.url.protocol === "https:" ? httpsRequest : httpRequest;
    const request = send(this.url, { method: "POST", agent: this.#agent, headers, signal });
    // Once the answer has begun, what becomes of the request shows in it.
    request.on("error", () => undefined);
    const answered = once(request, "response", { signal }) as Promise<[IncomingMessage]>;
    request.end(body);
    const [response] = await answered;
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > LARGEST_ANSWER) throw new UnusableAnswer("ANSWER_TOO_LARGE");
      parts.push(part);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") };
  }
}

/** The API, or what stands in its place, answered what can't be understood. */
class UnusableAnswer extends Error {
  override readonly name = "UnusableAnswer";

  constructor(readonly reason: string) {
    super(reason);
  }
}

function judge(status: number, text: string, entries: number): UpstreamAnswer {
  const body = parse(text);
  const errors = member(body, "errors");
  if (Array.isArray(errors) && errors.length > 0) {
    const [first] = errors as readonly unknown[];
    const code = codeFrom(member(member(first, "extensions"), "code"));
    if (!forGood.has(code)) return { kind: "failed", reason: code };
    return { kind: "refused", code, message: textFrom(member(first, "message")) };
  }
  // A proxy in between says so without a body of ours.
  if (status === 413) return { kind: "refused", code: "LIMIT_EXCEEDED", message: "The call is too large." };
  const result = member(member(body, "data"), "reportAuditEntries");
  const refused = member(result, "refused");
  if (status !== 200 || !Array.isArray(refused)) return { kind: "failed", reason: `HTTP_${String(status)}` };
  const judged = refused.map(refusedFrom);
  const places = new Set(judged.map(({ index }) => index));
  const isSound = judged.every(({ index }) => Number.isInteger(index) && index >= 0 && index < entries);
  const count = Number(member(result, "accepted")) + Number(member(result, "repeated")) + judged.length;
  // An entry that the answer doesn't account for may not be committed.
  if (!isSound || places.size !== judged.length || count !== entries) return { kind: "failed", reason: "UNACCOUNTED" };
  return { kind: "judged", refused: judged };
}

function refusedFrom(value: unknown): RefusedEntry {
  const index = member(value, "index");
  return {
    index: typeof index === "number" ? index : -1,
    code: codeFrom(member(value, "code")),
    message: textFrom(member(value, "message")),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A metric's label and a reason in the log: nothing but what a code looks like, also one of TLS's. */
const codeFrom = (value: unknown): string =>
  typeof value === "string" && /^[A-Z][A-Z0-9_]{1,49}$/.test(value) ? value : "NO_CODE";

const textFrom = (value: unknown): string => (typeof value === "string" ? value.slice(0, LONGEST_MESSAGE) : "");

function reasonOf(error: unknown, isCut: boolean): string {
  if (isCut) return "TIMEOUT";
  if (error instanceof UnusableAnswer) return error.reason;
  if (error instanceof TokenFileError) return "TOKEN_FILE";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return codeFrom(code);
}
