import { backoff, pause } from "./backoff.js";
import { isNumber, member, type Batch, type DroppedNumbers } from "./batch.js";
import { failingStill, type Failing } from "./failing.js";
import type { RelayLog } from "./log.js";
import type { RelayMetrics } from "./metrics.js";
import type { OwnSession } from "./own-session.js";
import type { SetAsideEntries } from "./set-aside.js";
import type { Slots } from "./slots.js";
import type { RefusedEntry, Upstream, UpstreamAnswer } from "./upstream.js";

export interface DeliveryParts {
  readonly upstream: Upstream;
  readonly own: OwnSession;
  readonly aside: SetAsideEntries;
  /** Whoever has something delivered holds one of them. */
  readonly slots: Slots;
  readonly metrics: RelayMetrics;
  readonly log: RelayLog;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
}

/** The relay stops: what is under way stays in the spool. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

type Judged = Extract<UpstreamAnswer, { readonly kind: "judged" }>;
type Refused = Extract<UpstreamAnswer, { readonly kind: "refused" }>;

/** What an entry may be refused with that is over another time. */
const passing = new Set(["UNAVAILABLE", "AUDIT_UNAVAILABLE", "TIMEOUT", "INTERNAL"]);

/** So few are never too many for the time that a call has. */
const FEW_ENTRIES = 20;

/** What fails more often may do so for its own sake: the others don't wait for it then. */
const MOST_FAILURES = 2;

const saysMore = ({ dropped, taken, close }: Batch): boolean => dropped.length > 0 || taken !== null || close;

/**
 * Sends batches to the API until each of their entries is accepted, or stands aside and is reported as dropped. Whatever
 * may be over later is tried again, for as long as it takes.
 */
export class Delivery {
  #failing: Failing | null = null;

  constructor(private readonly parts: DeliveryParts) {}

  /** Null where the last call was answered. */
  get failing(): Failing | null {
    return this.#failing;
  }

  /**
   * Delivers all of a batch; what it says of its session comes behind its entries, and its end behind everything.
   *
   * @throws StoppedError, or what the system says of the file for what is set aside: it has to be delivered again then
   */
  async deliver(batch: Batch): Promise<void> {
    if (!batch.close) return this.#send(batch);
    // Where an entry is refused, the session has to be open still for that to be said.
    if (batch.entries.length > 0 || batch.dropped.length > 0) await this.#send({ ...batch, close: false });
    await this.#send({ ...batch, entries: [], dropped: [] });
  }

  async #send(batch: Batch, failedBefore = 0): Promise<void> {
    let wasWelcome = false;
    for (let failures = failedBefore; ; failures++) {
      const answer = await this.#ask(batch);
      if (answer === "slow") return this.#halve(batch);
      if (answer.kind === "judged") return this.#judged(batch, answer, failures);
      const whole = answer.code === "FORBIDDEN" ? answer : await this.#split(batch, answer);
      if (!whole) return;
      // Either it is this session, or whatever is sent: a token without its role, a proxy with a limit. Then the relay's
      // own isn't welcome either.
      const isWelcome = await this.parts.own.isWelcome();
      if (isWelcome && wasWelcome) return this.#setAsideAll(batch, whole);
      wasWelcome = isWelcome;
      // It may have come to be only since the refusal: that is asked once more.
      if (isWelcome) continue;
      this.parts.metrics.upstreamFailures.inc({ reason: whole.code });
      this.#noteFailure(whole.code);
      await this.#wait(failures);
    }
  }

  async #judged(batch: Batch, { refused }: Judged, failures: number): Promise<void> {
    this.parts.metrics.sent.inc(batch.entries.length - refused.length);
    const later = refused.filter(({ code }) => passing.has(code));
    await this.#setAside(
      batch,
      refused.filter(({ code }) => !passing.has(code)),
    );
    if (later.length === 0) return;
    const reason = later[0]?.code ?? "";
    this.parts.metrics.upstreamFailures.inc({ reason });
    await this.#waitAside(batch, reason, failures);
    const entries = later.map(({ index }) => batch.entries[index]);
    await this.#send({ ...batch, entries, dropped: [] }, failures + 1);
  }

  /**
   * Finds what a call is refused for, in halves of the entries and in what it says beside them, and delivers the rest.
   *
   * @returns null once that is done; where the session itself is refused, how it was: nothing was done then
   */
  async #split(batch: Batch, refusal: Refused): Promise<Refused | null> {
    const { entries } = batch;
    if (entries.length === 0) return this.#sayLess(batch, refusal);
    // Where the session itself is refused, no half of its entries is better.
    const session = await this.#ask({ ...batch, entries: [], dropped: [], taken: null, close: false });
    if (session !== "slow" && session.kind === "refused") return session;
    if (entries.length === 1 && !saysMore(batch)) await this.#isolate(batch);
    else await this.#halve(batch);
    return null;
  }

  /** A single entry was refused, and its session is taken since: it is refused for its own sake, if it still is. */
  async #isolate(batch: Batch): Promise<void> {
    const answer = await this.#ask(batch);
    if (answer === "slow") return this.#send(batch);
    if (answer.kind === "judged") return this.#judged(batch, answer, 0);
    await this.#setAside(batch, [{ index: 0, ...answer }]);
  }

  /** What a call says beside its entries comes behind them. */
  async #halve(batch: Batch): Promise<void> {
    const { entries, ...more } = batch;
    const middle = Math.ceil(entries.length / 2);
    for (const half of [entries.slice(0, middle), entries.slice(middle)])
      if (half.length > 0) await this.#send({ ...batch, entries: half, dropped: [], taken: null, close: false });
    if (saysMore(batch)) await this.#send({ ...more, entries: [] });
  }

  /** A call without entries is refused: what it says is said part by part; a single part is all of it. */
  async #sayLess(batch: Batch, refusal: Refused): Promise<Refused | null> {
    const { dropped, taken, close } = batch;
    const nothing: Batch = { ...batch, dropped: [], taken: null, close: false };
    const parts: Batch[] = [
      ...dropped.map((each) => ({ ...nothing, dropped: [each] })),
      ...(taken === null ? [] : [{ ...nothing, taken }]),
      ...(close ? [{ ...nothing, close }] : []),
    ];
    if (parts.length <= 1) return refusal;
    for (const part of parts) await this.#send(part);
    return null;
  }

  async #setAside(batch: Batch, refused: readonly RefusedEntry[]): Promise<void> {
    if (refused.length === 0) return;
    const { sessionId } = batch;
    const entries = refused.map(({ index, code, message }) => ({ code, message, entry: batch.entries[index] }));
    await this.parts.aside.keep(entries.map((each) => ({ sessionId, ...each })));
    for (const { code } of entries) this.parts.metrics.setAside.inc({ code });
    const codes = [...new Set(entries.map(({ code }) => code))];
    this.parts.log.warn({ sessionId, entries: entries.length, codes }, "the API refuses entries for good: set aside");
    const dropped: DroppedNumbers[] = [];
    let unnumbered = 0;
    for (const code of codes) {
      const numbers = entries.filter((each) => each.code === code).map(({ entry }) => member(entry, "sequenceNumber"));
      const known = numbers.filter(isNumber);
      if (known.length > 0)
        dropped.push({ reason: `set_aside: ${code}`, sequenceNumbers: known.map((it) => [it, it]) });
      // An entry without a number leaves no gap in its session.
      this.parts.own.drop(`set_aside: ${code}`, numbers.length - known.length);
      unnumbered += numbers.length - known.length;
    }
    if (dropped.length > 0) await this.#send({ ...batch, entries: [], dropped, taken: null, close: false });
    if (unnumbered > 0) await this.#untilTold();
  }

  /** All of a session's call: the session can't be told of it, so the relay's own is. */
  async #setAsideAll(batch: Batch, { code, message }: Refused): Promise<void> {
    const { sessionId, entries, dropped, taken, close } = batch;
    this.parts.log.error({ sessionId, entries: entries.length, code }, "the API refuses a session for good: set aside");
    const said = dropped.length > 0 || close ? [{ sessionId, code, message, said: { dropped, taken, close } }] : [];
    await this.parts.aside.keep([...entries.map((entry) => ({ sessionId, code, message, entry })), ...said]);
    this.parts.metrics.setAside.inc({ code }, entries.length);
    this.parts.own.drop(`set_aside: ${code}`, entries.length);
    if (entries.length > 0) await this.#untilTold();
  }

  /** What is told in the relay's own session is told before the spool forgets it. */
  async #untilTold(): Promise<void> {
    for (let failures = 0; !(await this.parts.own.hasToldAll()); failures++) await this.#wait(failures);
  }

  /** Asks until the API says something that holds; `slow` where it may only be that there are too many entries. */
  async #ask(batch: Batch): Promise<Judged | Refused | "slow"> {
    for (let failures = 0; ; failures++) {
      this.#requireRunning();
      const answer = await this.parts.upstream.report(batch);
      if (answer.kind !== "failed") {
        if (this.#failing) this.parts.log.info("the API answers again");
        this.#failing = null;
        return answer;
      }
      this.#requireRunning();
      await this.#waitAside(batch, answer.reason, failures);
      if (answer.reason === "TIMEOUT" && failures > 0 && batch.entries.length > FEW_ENTRIES) return "slow";
    }
  }

  /** Where the API takes the relay's own session meanwhile, other sessions have the slot for as long. */
  async #waitAside({ sessionId }: Batch, reason: string, failures: number): Promise<void> {
    const { own, log, slots } = this.parts;
    const isOften = failures >= MOST_FAILURES;
    // Of an API that takes nothing, its own session knows already: to ask would take another call's time.
    if (isOften && own.failing === null && (await own.isWelcome())) {
      if (failures === MOST_FAILURES)
        log.warn({ sessionId, reason }, "a session's entries aren't taken: kept, and sent again");
      return slots.without(() => this.#wait(failures));
    }
    this.#requireRunning();
    this.#noteFailure(reason);
    await this.#wait(failures);
  }

  #noteFailure(reason: string): void {
    if (!this.#failing) this.parts.log.warn({ reason }, "the API takes nothing: kept, and sent again");
    this.#failing = failingStill(this.#failing, reason);
  }

  async #wait(failures: number): Promise<void> {
    await pause(backoff(failures), this.parts.signal);
    this.#requireRunning();
  }

  #requireRunning(): void {
    if (this.parts.signal.aborted) throw new StoppedError();
  }
}
