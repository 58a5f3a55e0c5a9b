import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { limits, type HeldBytes } from "./peer.js";

/** A request can't be taken; the message is for its sender. */
export class RefusedRequest extends Error {
  override readonly name = "RefusedRequest";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Whoever sends more than this beyond the limit isn't listened to until its end. */
const MOST_DISCARDED = 16 * 1024 * 1024;

/**
 * Reads a body of at most 1 MiB and hands it to `use`; its octets count as held until that is done.
 *
 * What is too large, or finds no room, is read to its end and thrown away, so that the sender gets to read the answer. It
 * holds nothing from then on: the room is for those that can still be taken.
 *
 * @throws RefusedRequest where it is too large, cut off, not JSON or there is no room for it
 */
export async function withBody(
  request: IncomingMessage,
  held: HeldBytes,
  use: (body: unknown, bytes: number) => Promise<void>,
): Promise<void> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let taken = 0;
  let refusal: RefusedRequest | null = null;
  const letGo = (): void => {
    held.giveBack(taken);
    [parts, taken] = [[], 0];
  };
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > limits.bodyBytes) refusal ??= tooLarge();
      else if (!refusal && !held.take(part.length)) refusal = noRoom();
      if (refusal) letGo();
      if (bytes > limits.bodyBytes + MOST_DISCARDED) break;
      if (refusal) continue;
      taken += part.length;
      parts.push(part);
    }
    if (refusal) throw refusal;
    await use(parse(Buffer.concat(parts)), bytes);
  } finally {
    letGo();
  }
}

function parse(octets: Buffer): unknown {
  if (!isUtf8(octets)) throw new RefusedRequest(400, "BAD_USER_INPUT", "The body isn't UTF-8.");
  try {
    return JSON.parse(octets.toString("utf8"));
  } catch {
    // Its message would quote the body.
    throw new RefusedRequest(400, "BAD_USER_INPUT", "The body isn't JSON.");
  }
}

const tooLarge = (): RefusedRequest =>
  new RefusedRequest(413, "LIMIT_EXCEEDED", "The body is larger than 1 MiB: send fewer entries in a call.");

const noRoom = (): RefusedRequest =>
  new RefusedRequest(503, "UNAVAILABLE", "The relay holds as much as it can at a time: send it again.");
