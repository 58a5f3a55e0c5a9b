import { droppedByReason } from "../reporter/dropped-by-reason.js";
import { uuidV7 } from "../reporter/uuid-v7.js";
import { backoff, pause } from "./backoff.js";
import type { Batch, Source } from "./batch.js";
import { failingStill, type Failing } from "./failing.js";
import type { RelayLog } from "./log.js";
import type { RelayMetrics } from "./metrics.js";
import type { Upstream, UpstreamAnswer } from "./upstream.js";

interface Drop {
  readonly reason: string;
  readonly first: bigint;
  readonly last: bigint;
}

/** So often the API hears that the relay is there: it takes one for silent after a minute. */
const HEARTBEAT_MILLISECONDS = 20_000;

/** An API takes a thousand ranges in a call. */
const MOST_TOLD = 500;

/**
 * The relay's own session with the API, for one run: it takes a number for each entry of others that the relay drops and
 * can't report in their own session, and reports it as dropped with its reason. It holds no entries.
 */
export class OwnSession {
  readonly sessionId = uuidV7();
  #taken = 0n;
  readonly #untold: Drop[] = [];
  /** How many of them the call under way says. */
  #beingTold = 0;
  #telling: Promise<UpstreamAnswer> | null = null;
  #failing: Failing | null = null;
  #wake: () => void = () => undefined;

  constructor(
    private readonly upstream: Upstream,
    private readonly source: Source,
    private readonly metrics: RelayMetrics,
    private readonly log: RelayLog,
  ) {}

  /** Null where the last call was taken. */
  get failing(): Failing | null {
    return this.#failing;
  }

  /** Takes numbers for what is dropped; it is told soon. */
  drop(reason: string, entries: number): void {
    if (entries <= 0) return;
    this.metrics.dropped.inc({ reason }, entries);
    const [first, last] = [this.#taken, this.#taken + BigInt(entries) - 1n];
    this.#taken = last + 1n;
    const before = this.#untold.length > this.#beingTold ? this.#untold.at(-1) : undefined;
    if (before?.reason === reason) this.#untold[this.#untold.length - 1] = { ...before, last };
    else this.#untold.push({ reason, first, last });
    this.#wake();
  }

  /** Whether the API takes this very session: what it refuses in another isn't for the token's sake then. */
  async isWelcome(): Promise<boolean> {
    const answer = await this.tell();
    return answer.kind === "judged";
  }

  /** Whether the API knows of all that was dropped: a call that is under way may have begun before the last of it. */
  async hasToldAll(): Promise<boolean> {
    while (this.#untold.length > 0) if (!(await this.isWelcome())) return false;
    return true;
  }

  /** Says how many numbers there are and which were dropped; one call for all who ask at a time. */
  tell(): Promise<UpstreamAnswer> {
    this.#telling ??= this.#tell().finally(() => (this.#telling = null));
    return this.#telling;
  }

  /** Tells what is new at once, and that the relay is there now and then, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      const answer = await this.tell();
      failures = answer.kind === "judged" ? 0 : failures + 1;
      this.#failing = answer.kind === "judged" ? null : failingStill(this.#failing, reasonOf(answer));
      if (answer.kind === "refused" && failures === 1)
        this.log.error({ code: answer.code }, "the API refuses the relay's own session");
      if (failures > 0) await pause(backoff(failures), signal);
      else if (this.#untold.length === 0) await this.#woken(signal);
    }
  }

  /** The last call of this session, for whoever sends it. */
  closing(): Batch {
    return { ...this.#batch(), close: true };
  }

  async #tell(): Promise<UpstreamAnswer> {
    this.#beingTold = Math.min(this.#untold.length, MOST_TOLD);
    const answer = await this.upstream.report(this.#batch());
    if (answer.kind === "judged") this.#untold.splice(0, this.#beingTold);
    this.#beingTold = 0;
    return answer;
  }

  #batch(): Batch {
    return {
      sessionId: this.sessionId,
      source: this.source,
      entries: [],
      dropped: droppedByReason(this.#untold.slice(0, MOST_TOLD)),
      taken: String(this.#taken),
      close: false,
    };
  }

  #woken(signal: AbortSignal): Promise<void> {
    const soon = new AbortController();
    this.#wake = () => soon.abort();
    return pause(HEARTBEAT_MILLISECONDS, AbortSignal.any([signal, soon.signal]));
  }
}

const reasonOf = (answer: Exclude<UpstreamAnswer, { readonly kind: "judged" }>): string =>
  answer.kind === "failed" ? answer.reason : answer.code;
