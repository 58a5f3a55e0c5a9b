import type { Outcome, RefusedEntry } from "./answer.js";
import type { Backlog, ReadyEntry } from "./backlog.js";
import type { CallContent } from "./call.js";
import type { Loss, Losses } from "./losses.js";
import type { ReporterSettings } from "./options.js";
import { Pause } from "./pause.js";

/** What the sender sends, and by what means. */
export interface SenderParts {
  readonly settings: Pick<ReporterSettings, "batchSize" | "maxBatchSize" | "maxDelay" | "heartbeat" | "notify">;
  readonly backlog: Backlog;
  readonly losses: Losses;
  /** One call; it never throws. */
  readonly call: (content: CallContent) => Promise<Outcome>;
  /** Whoever keeps losses over a crash forgets these: they are told. */
  readonly told: (losses: readonly Loss[]) => void;
}

const RANGES_A_CALL = 500;
/** A relay takes a megabyte a message, and a character may be three octets. */
const CHARACTERS_A_CALL = 256 * 1024;
const FIRST_WAIT = 200;
const LONGEST_WAIT = 30_000;
/** While somebody waits for all to be sent, by a deadline. */
const LONGEST_HURRIED_WAIT = 1_000;

/**
 * Sends what waits, one call at a time: as soon as a batch waits, something finds no room, or the first entry has waited long
 * enough. What comes to nothing is sent again, after waits that grow to half a minute, for as long as there is room to wait
 * in. Where nothing is to be sent, a call without entries opens the session, and says from time to time that it lives.
 */
export class Sender {
  /** Entries that the API has said to stand in the log, or a relay on its disk. */
  sent = 0;
  setAside = 0;
  /** Why the last call came to nothing; null where it didn't. */
  lastFailure: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isDue = false;
  #isStopped = false;
  #beat: NodeJS.Timeout | null = null;
  /** Whether a call is to be made although nothing may wait. */
  #isGreetingDue = false;
  #isOpening = false;
  #isQuiet = false;
  /** How many wait for all to be sent. */
  #drains = 0;
  /** How many entries are due, whether or not they still make a batch. */
  #owed = 0;
  #wake: () => void = () => undefined;
  #failures = 0;
  /** How many entries the next call takes at most. */
  #limit: number;
  readonly #pause = new Pause();
  #waiting: { readonly isOver: () => boolean; readonly resolve: () => void }[] = [];
  /** Numbers of entries that are refused for good, and whose backlog couldn't take note of it yet. */
  readonly #refused = new Set<bigint>();
  readonly #running: Promise<void>;

  constructor(private readonly parts: SenderParts) {
    this.#limit = parts.settings.maxBatchSize;
    this.#running = this.#run();
  }

  /** Whether nothing waits, nor will by itself. */
  get isEmpty(): boolean {
    const { backlog, losses } = this.parts;
    return backlog.ready === 0 && backlog.coming === 0 && losses.waiting === 0;
  }

  /** To be called when something has come to wait, or needn't any more. */
  look(): void {
    if (this.#waiting.length > 0) this.#endDrains(({ isOver }) => isOver());
    if (this.#isDue) return;
    const { backlog, losses, settings } = this.parts;
    const waiting = backlog.ready + losses.ready;
    const isHurried = this.#drains > 0 || backlog.isFull;
    if (backlog.ready >= settings.batchSize || (isHurried && waiting > 0)) this.#due();
    else if (waiting > 0) this.#timer ??= setTimeout(() => this.#due(), settings.maxDelay).unref();
  }

  /** Opens the session as soon as whoever reports is done; once. */
  open(): void {
    if (this.#isOpening || this.#isQuiet) return;
    this.#isOpening = true;
    this.#greet();
  }

  /** Says no longer that the session lives: it is about to end. */
  quiet(): void {
    this.#isQuiet = true;
    this.#isGreetingDue = false;
    if (this.#beat) clearTimeout(this.#beat);
  }

  /** Says, whenever it is asked, whether of all that waits now nothing waits any more. */
  whetherSent(): () => boolean {
    const { backlog, losses } = this.parts;
    const [next, told] = [backlog.next, losses.gone + losses.waiting];
    return () => backlog.oldest >= next && losses.gone >= told;
  }

  /** Sends all at once, without waiting for more, until `relax`; resolves when it is over: when nothing waits any more. */
  drain(isOver = () => this.isEmpty): Promise<void> {
    this.#drains += 1;
    this.#pause.end();
    if (isOver()) return Promise.resolve();
    this.look();
    return new Promise((resolve) => this.#waiting.push({ isOver, resolve }));
  }

  /** To be called once for each `drain` that is no longer waited for. */
  relax(): void {
    this.#drains -= 1;
    if (this.#drains === 0) this.#endDrains(() => true);
  }

  /** Ends it behind the call that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.quiet();
    this.#pause.end();
    this.#due();
    await this.#running;
  }

  #due(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#isDue = true;
    this.#wake();
  }

  #greet(): void {
    if (this.#isQuiet) return;
    this.#isGreetingDue = true;
    this.#wake();
  }

  /** One call; whatever it brings, it says that the session lives. */
  async #call(content: CallContent): Promise<Outcome> {
    if (this.#beat) clearTimeout(this.#beat);
    const outcome = await this.parts.call(content);
    if (outcome.kind === "taken") this.#isGreetingDue = false;
    if (!this.#isQuiet) this.#beat = setTimeout(() => this.#greet(), this.parts.settings.heartbeat).unref();
    return outcome;
  }

  async #run(): Promise<void> {
    while (await this.#untilDue()) {
      const isDue = this.#isDue;
      this.#isDue = false;
      if (isDue && this.#owed <= 0) this.#owed = this.parts.backlog.ready;
      const settled = this.sent + this.setAside;
      if (await this.#attempt(isDue)) this.#succeed();
      else await this.#wait();
      this.#owed -= this.sent + this.setAside - settled;
      this.#isDue ||= this.#owed > 0 && this.parts.backlog.ready > 0;
      this.look();
    }
  }

  /** False where it is stopped. */
  async #untilDue(): Promise<boolean> {
    if (!this.#isDue && !this.#isGreetingDue) await new Promise<void>((resolve) => (this.#wake = resolve));
    return !this.#isStopped;
  }

  #succeed(): void {
    if (this.#failures > 0) this.parts.settings.notify({ kind: "recovered", message: "Entries are taken again." });
    this.#failures = 0;
    this.lastFailure = null;
  }

  /** Until the next try: exponential, with full jitter. */
  async #wait(): Promise<void> {
    const most = this.#drains > 0 ? LONGEST_HURRIED_WAIT : LONGEST_WAIT;
    const longest = Math.min(FIRST_WAIT * 2 ** Math.min(this.#failures, 20), most);
    this.#failures += 1;
    await this.#pause.wait(Math.random() * longest, this.#drains > 0);
    if (!this.isEmpty) this.#isDue = true;
  }

  #endDrains(isEnded: (drain: { readonly isOver: () => boolean }) => boolean): void {
    const ended = new Set(this.#waiting.filter(isEnded));
    this.#waiting = this.#waiting.filter((drain) => !ended.has(drain));
    for (const { resolve } of ended) resolve();
  }

  /** Whether to go on at once. */
  async #attempt(isDue: boolean): Promise<boolean> {
    try {
      if (!isDue) return await this.#sayHello();
      return (await this.#tellLosses()) && (await this.#sendEntries()) && (await this.#sayHello());
    } catch (error) {
      // A file that can't be read.
      this.#fail("delayed", "what waits can't be read", error);
      return false;
    }
  }

  async #tellLosses(): Promise<boolean> {
    const { losses } = this.parts;
    const taken = losses.take(RANGES_A_CALL);
    if (taken.length === 0) return true;
    const outcome = await this.#call({ losses: () => taken });
    if (outcome.kind === "taken") {
      this.#forgetLosses(taken);
      return true;
    }
    if (outcome.kind === "refused" && (await this.#isFine({}))) {
      // They show as missing numbers all the same.
      this.#fail("refused", `the numbers that were dropped are refused with ${outcome.code}`);
      this.#forgetLosses(taken);
      return true;
    }
    losses.putBack(taken);
    return this.#delay(outcome);
  }

  #forgetLosses(taken: readonly Loss[]): void {
    this.parts.losses.told(taken);
    this.parts.told(taken);
  }

  async #sendEntries(): Promise<boolean> {
    const { backlog, settings } = this.parts;
    const entries = await backlog.first(this.#limit, CHARACTERS_A_CALL);
    const [first] = entries;
    if (!first) return true;
    const outcome = await this.#call({ entries });
    if (outcome.kind === "taken") {
      this.#limit = Math.min(this.#limit * 2, settings.maxBatchSize);
      return this.#settle(entries, outcome.refused);
    }
    if (outcome.kind === "refused" && entries.length === 1) {
      // Whether it is the entry or the call: one without entries tells, and the entry's own behind it.
      if (!(await this.#isFine({}))) return this.#delay(outcome);
      const again = await this.#call({ entries });
      if (again.kind === "taken") return this.#settle(entries, again.refused);
      if (again.kind !== "refused") return this.#delay(again);
      await this.#putAside(first, again);
      return true;
    }
    const isTooMuch = outcome.kind === "refused" || (outcome.kind === "delayed" && outcome.isTooMuch);
    if (isTooMuch) this.#limit = Math.ceil(entries.length / 2);
    return outcome.kind === "refused" || this.#delay(outcome);
  }

  /** Where no other call has been taken since one was due. */
  async #sayHello(): Promise<boolean> {
    if (!this.#isGreetingDue) return true;
    const outcome = await this.#call({});
    return outcome.kind === "taken" || this.#delay(outcome);
  }

  async #isFine(content: CallContent): Promise<boolean> {
    return (await this.#call(content)).kind === "taken";
  }

  async #settle(entries: readonly ReadyEntry[], refused: readonly RefusedEntry[]): Promise<boolean> {
    const byIndex = new Map(refused.map((it) => [it.index, it]));
    const taken = entries.filter((_, index) => !byIndex.has(index));
    this.parts.backlog.settle(taken);
    this.sent += taken.length;
    for (const it of refused) {
      const entry = entries[it.index];
      if (entry && !it.isTemporary) await this.#putAside(entry, it);
    }
    if (taken.length > 0 || refused.some(({ isTemporary }) => !isTemporary)) return true;
    return this.#fail("delayed", "every entry is to be sent another time");
  }

  async #putAside(entry: ReadyEntry, { code, message }: Pick<RefusedEntry, "code" | "message">): Promise<void> {
    const { backlog, losses, settings } = this.parts;
    const { sequenceNumber, text } = entry;
    if (!this.#refused.has(sequenceNumber)) {
      this.#refused.add(sequenceNumber);
      this.setAside += 1;
      losses.add(`set_aside: ${code}`, sequenceNumber);
    }
    await backlog.setAside(entry, `refused with ${code}`);
    this.#refused.delete(sequenceNumber);
    const told = `Entry ${String(sequenceNumber)} is refused for good and set aside: ${code} ${message}`;
    settings.notify({ kind: "set_aside", message: told, sequenceNumber, entry: text });
  }

  #delay(outcome: Outcome): false {
    if (outcome.kind === "delayed") return this.#fail("delayed", outcome.why, outcome.cause);
    const why = outcome.kind === "taken" ? "nothing was asked" : `the call is refused with ${outcome.code}`;
    return this.#fail("refused", why);
  }

  #fail(kind: "delayed" | "refused", why: string, cause?: unknown): false {
    const isNew = this.lastFailure === null || (kind === "refused" && this.lastFailure !== why);
    this.lastFailure = why;
    const message = `Entries for the audit log wait, and are sent again: ${why}.`;
    if (isNew && !this.#isStopped) this.parts.settings.notify({ kind, message, ...(cause !== undefined && { cause }) });
    return false;
  }
}
