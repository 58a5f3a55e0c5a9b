import { nowhere, type PendingEntry } from "./entry.js";

/** Others of the tenant come between, so that a flood can have as many ranges as attempts. */
const MAX_RANGES = 200;

/** Equal attempts that one summary will stand for. */
export class FoldBatch {
  readonly #first: PendingEntry;
  readonly #claimedAt = new Date().toISOString();
  readonly #ranges: [first: bigint, last: bigint][] = [];
  #count = 0;
  #rows = 0;
  isSending = false;
  /** How often it could not be written. */
  tries = 0;

  constructor(first: PendingEntry) {
    this.#first = first;
  }

  /** Names it among all batches: no other attempt has this place. */
  get name(): string {
    return `${this.#first.sessionId}/${String(this.#first.sequenceNumber)}`;
  }

  /** The place of its summary. */
  get firstNumber(): bigint {
    return this.#first.sequenceNumber;
  }

  /** Whether it is time to begin another. */
  get isFull(): boolean {
    return this.#ranges.length >= MAX_RANGES;
  }

  add({ sequenceNumber, access }: PendingEntry): void {
    const last = this.#ranges.at(-1);
    if (last && sequenceNumber === last[1] + 1n) last[1] = sequenceNumber;
    else this.#ranges.push([sequenceNumber, sequenceNumber]);
    this.#count += 1;
    this.#rows += access?.rows ?? 0;
  }

  /**
   * One entry for all of them, in the first one's place in the session, which has none of its own. What they may differ
   * in it doesn't name: labels, values, requests, tokens, and of a known actor the address.
   */
  summary(): PendingEntry {
    const { actor, origin, error, resource, access, outcome } = this.#first;
    const isDenied = outcome === "DENIED";
    return {
      ...this.#first,
      actor: { ...actor, tokenId: null, clientId: null },
      error: error && { code: error.code, message: null },
      resource: resource && { type: resource.type, id: isDenied ? null : resource.id, label: null },
      changes: [],
      attempted: [],
      origin: { ...nowhere, ip: actor.type === "ANONYMOUS" ? origin.ip : null },
      ordinal: 0,
      causeId: null,
      correlation: null,
      claimedAt: this.#claimedAt,
      repeats: { count: this.#count, sequenceNumbers: this.#ranges.map(([first, last]) => [first, last] as const) },
      access: access && !isDenied ? { filter: access.filter, rows: this.#rows } : null,
    };
  }
}
