import type { Request } from "express";
import type { Correlation } from "../audit/entry.js";
import { isUuid, NIL_UUID } from "../audit/uuid.js";
import type { Caller } from "../auth.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";

const sessionHeader = "x-audit-session-id";
const numberHeader = "x-audit-sequence-number";
const decimal = /^(?:0|[1-9]\d{0,18})$/;
const largest = 2n ** 63n - 1n;

type Ignored = "malformed" | "untrusted";

/** Whether Express believes what the peer at an address says of others. */
type Trust = (address: string, hop: number) => boolean;

/** Reads which entry of another process tells of the same request. What can't be believed is as good as not sent. */
export class Correlations {
  #isTold = false;

  constructor(
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {}

  /** Null where none was sent, or it isn't a reporter's or a trusted proxy's, or isn't well formed. */
  of(request: Request, { roles }: Caller): Correlation | null {
    const sessionId = request.get(sessionHeader);
    const sequenceNumber = request.get(numberHeader);
    if (sessionId === undefined && sequenceNumber === undefined) return null;
    if (!roles.has("REPORTER") && !isTrusted(request)) return this.#ignore(request, "untrusted");
    if (sessionId === undefined || !isUuid(sessionId) || sessionId === NIL_UUID)
      return this.#ignore(request, "malformed");
    if (sequenceNumber === undefined || !decimal.test(sequenceNumber) || BigInt(sequenceNumber) > largest)
      return this.#ignore(request, "malformed");
    return { sessionId: sessionId.toLowerCase(), sequenceNumber };
  }

  #ignore(request: Request, why: Ignored): null {
    this.metrics.correlationsIgnored.inc({ why });
    const message = "a request's X-Audit-Session-Id and X-Audit-Sequence-Number were ignored; further ones are counted";
    if (!this.#isTold) this.log.warn({ why, method: request.method }, message);
    this.#isTold = true;
    return null;
  }
}

/** By the address of the peer itself: what it forwards says nothing of it. */
function isTrusted(request: Request): boolean {
  const { remoteAddress } = request.socket;
  const trust = request.app.get("trust proxy fn") as Trust;
  return remoteAddress !== undefined && trust(remoteAddress, 0);
}
