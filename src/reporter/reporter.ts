import { within } from "../within.js";
import { MemoryBacklog, type Backlog } from "./backlog.js";
import { makeCall, type CallContent, type CallSession } from "./call.js";
import { Connection } from "./connection.js";
import { correlatedFetch, type ReportedRequest } from "./correlated-fetch.js";
import { atExit } from "./exits.js";
import { Losses, type Loss } from "./losses.js";
import { MemoryNumbers, type Numbers } from "./numbers.js";
import type { Notice, ReporterSettings } from "./options.js";
import { Pause } from "./pause.js";
import { copyEntry, type ReportEntry } from "./report-entry.js";
import { Sender } from "./sender.js";
import { StoredBacklog } from "./stored-backlog.js";
import { StoredRun } from "./stored-run.js";
import type { StoredSession } from "./stored-session.js";
import { closeResultOf, statsOf, type CloseResult, type Counted, type ReporterStats } from "./tally.js";
import { targetsOf, type Targets } from "./targets.js";

/**
 * What a request carries that shall be found in both sides' entries: both headers, or none where no rule matches it. `fetch`
 * takes them as they are, which it would not take an interface.
 */
export type CorrelationHeaders = {
  readonly "X-Audit-Session-Id"?: string;
  readonly "X-Audit-Sequence-Number"?: string;
};

/** How long something may take, in milliseconds. */
export interface Deadline {
  readonly deadline?: number;
}

const CLOSE_DEADLINE = 10_000;
const EXIT_DEADLINE = 5_000;
const CLOSE_RETRY = 500;
/** What the disk is given even where the deadline is over. */
const LEAST_TIME = 100;
/** Why entries are lost that the end has cut off, and no spool keeps. */
const UNSENT = "unsent";
/** Why entries are lost that come behind the end. */
const CLOSED = "closed";

/** Puts what a process does and refuses into the audit log of an API. Made by `createReporter`. */
export class Reporter {
  readonly sessionId: string;
  readonly #settings: ReporterSettings;
  readonly #losses: Losses;
  readonly #numbers: Numbers;
  readonly #backlog: Backlog;
  readonly #stored: StoredRun | null;
  readonly #session: CallSession;
  readonly #sender: Sender;
  readonly #connection: Connection;
  readonly #matches: Targets;
  readonly #abort = new AbortController();
  /** Numbers that `correlationHeaders` has taken, whose entries haven't been reported yet. */
  readonly #open = new Set<bigint>();
  readonly #toldReasons = new Set<string>();
  readonly #forgetExit: () => void;
  #closing: Promise<CloseResult> | null = null;
  /** How many numbers had been taken by then; null before. */
  #takenByClose: bigint | null = null;

  /** @param stored the session of a spool; null for one that ends with the process */
  constructor(settings: ReporterSettings, sessionId: string, stored: StoredSession | null) {
    this.#settings = settings;
    this.sessionId = sessionId;
    this.#losses = stored?.losses ?? new Losses(false);
    this.#numbers = stored?.numbers ?? new MemoryNumbers();
    const backlog = stored ? this.#storedBacklog(stored) : null;
    this.#stored = stored && backlog ? new StoredRun(stored, backlog, () => this.#late(), settings.notify) : null;
    this.#backlog = backlog ?? new MemoryBacklog(settings.maxQueued, settings.maxQueuedCharacters);
    this.#session = { sessionId, source: stored?.source ?? settings.source, taken: () => this.#numbers.taken };
    this.#connection = new Connection(settings.target, settings.callTimeout);
    this.#matches = targetsOf(settings.targets);
    this.#sender = new Sender({
      settings,
      backlog: this.#backlog,
      losses: this.#losses,
      call: (content) => this.#call(content),
      told: (losses: readonly Loss[]) => backlog?.told(losses),
    });
    // Of a session that goes on, the API may have heard already.
    if (this.#numbers.taken > 0n) this.#sender.open();
    this.#sender.look();
    this.#forgetExit = settings.handleExit ? this.#lookAfterExit() : () => undefined;
  }

  /**
   * Takes the session's next number, and has the entry sent with it later. It never waits and never throws: what can't be
   * taken is counted, and its number reported with the reason.
   */
  report(entry: ReportEntry): bigint {
    const number = this.#numberOf(entry);
    try {
      const copy = this.#closing ? CLOSED : copyEntry(entry);
      if (typeof copy === "string") this.#drop(copy, number);
      else if (!this.#backlog.push(number, copy)) this.#drop("overflow", number);
    } catch {
      // A getter or a proxy of the caller's.
      this.#drop("malformed", number);
    }
    this.#sender.open();
    this.#sender.look();
    return number;
  }

  /**
   * Headers for a request to this URL, with the number that its entry has to bear: give it to `report` as
   * `sequenceNumber`. Where no rule matches there are none, and no number is taken.
   */
  correlationHeaders(url: string | URL): CorrelationHeaders {
    if (this.#closing || !this.#isTarget(url)) return {};
    const number = this.#numbers.next();
    if (this.#backlog.open(number)) this.#keepOpen(number);
    else this.#drop("overflow", number);
    this.#sender.open();
    this.#sender.look();
    return this.#headers(number);
  }

  /**
   * Reports a request and makes it, with the headers of correlation where a rule matches, in place of those that the caller
   * gave. Each redirect is a request of its own. It behaves as `fetch` otherwise. An entry says that its request was let
   * through, before it is sent: neither its answer nor its failure is in it.
   */
  readonly fetch = (input: string | URL | Request, init?: ReportedRequest): Promise<Response> =>
    correlatedFetch(input, init, (url, entry) => {
      const number = this.report(entry);
      return !this.#closing && this.#isTarget(url) ? this.#headers(number) : {};
    });

  /** Sends at once what waits, and says whether that was all; after 10 seconds at most where nothing else is said. */
  async flush({ deadline = CLOSE_DEADLINE }: Deadline = {}): Promise<boolean> {
    if (this.#closing) return (await this.#closing).isClosed;
    const isSent = this.#sender.whetherSent();
    await within(bounded(deadline), this.#sender.drain(isSent));
    this.#sender.relax();
    return isSent();
  }

  /**
   * Takes no more, sends what waits, and ends the session; after 10 seconds at most where nothing else is said. What isn't
   * sent by then is kept for the next run where there is a spool, and lost otherwise.
   */
  close({ deadline = CLOSE_DEADLINE }: Deadline = {}): Promise<CloseResult> {
    return (this.#closing ??= this.#close(deadline));
  }

  stats(): ReporterStats {
    return statsOf(this.#counted);
  }

  #storedBacklog({ spool, numbers, losses, entries }: StoredSession): StoredBacklog {
    const { maxQueued, maxQueuedCharacters, notify } = this.#settings;
    const onTrouble = (cause: unknown): void =>
      notify({ kind: "spool", message: "Entries can't be written to the spool, and wait in memory.", cause });
    const onReady = (): void => this.#sender.look();
    const parts = { spool, numbers, losses, maxQueued, maxCharacters: maxQueuedCharacters, onReady, onTrouble };
    return new StoredBacklog(parts, entries);
  }

  #lookAfterExit(): () => void {
    return atExit({
      finish: () => this.close({ deadline: EXIT_DEADLINE }),
      hasten: () => this.flush({ deadline: EXIT_DEADLINE }),
      keep: () => this.#keepNow(),
    });
  }

  #call(content: CallContent): ReturnType<typeof makeCall> {
    return makeCall(this.#connection, this.#settings.token, this.#session, content, this.#abort.signal);
  }

  /** The number that was taken for it, or the next one. */
  #numberOf(entry: ReportEntry): bigint {
    try {
      const given = numberIn(entry.sequenceNumber);
      if (given !== null && this.#open.delete(given)) return given;
    } catch {
      // No entry at all, or no number: it has to have one all the same.
    }
    return this.#numbers.next();
  }

  #isTarget(url: string | URL): boolean {
    const text = String(url);
    return URL.canParse(text) && this.#matches(new URL(text));
  }

  #headers(number: bigint): CorrelationHeaders {
    return { "X-Audit-Session-Id": this.sessionId, "X-Audit-Sequence-Number": String(number) };
  }

  #drop(reason: string, number: bigint): void {
    if (this.#closing) this.#losses.count(reason, 1);
    else {
      if (this.#losses.waiting === 0) this.#toldReasons.clear();
      this.#losses.add(reason, number);
      this.#backlog.lost(number);
    }
    if (this.#toldReasons.has(reason)) return;
    this.#toldReasons.add(reason);
    const message = `Entries for the audit log are being dropped: ${reason}.`;
    const notice: Notice = { kind: "dropped", message, sequenceNumber: number };
    // Whoever reports doesn't wait for whoever is told.
    queueMicrotask(() => this.#settings.notify(notice));
  }

  #keepOpen(number: bigint): void {
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.size >= this.#settings.maxQueued) this.#abandon(oldest);
    this.#open.add(number);
  }

  #abandon(number: bigint): void {
    this.#open.delete(number);
    this.#losses.add("never_reported", number);
    this.#backlog.lost(number);
  }

  async #close(deadline: number): Promise<CloseResult> {
    this.#takenByClose = this.#numbers.taken;
    this.#sender.quiet();
    for (const number of this.#open) this.#abandon(number);
    const end = performance.now() + bounded(deadline);
    await within(bounded(deadline), this.#sender.drain());
    const isClosed = this.#sender.isEmpty && (await this.#endSession(end));
    const stopped = this.#sender.stop();
    this.#abort.abort();
    // A disk that hangs mustn't hold up the process's end.
    await within(Math.max(LEAST_TIME, end - performance.now()), stopped);
    this.#connection.close();
    const left = end - performance.now();
    if (this.#stored)
      await within(Math.max(2 * LEAST_TIME, left), this.#stored.end(isClosed, Math.max(LEAST_TIME, left)));
    this.#losses.count(UNSENT, this.#backlog.abandon());
    this.#forgetExit();
    return closeResultOf(this.#counted, isClosed);
  }

  /** The numbers that were taken behind `close`: all of them are lost, and wait for nobody. */
  #late(): readonly Loss[] {
    const [first, { taken }] = [this.#takenByClose, this.#numbers];
    return first !== null && taken > first ? [{ reason: CLOSED, first, last: taken - 1n, line: null }] : [];
  }

  /** Tells the API that the session has ended, and what came too late; again and again until the time is over. */
  async #endSession(end: number): Promise<boolean> {
    const pause = new Pause();
    const content: CallContent = { losses: () => this.#late(), close: true };
    while (performance.now() < end) {
      const outcome = await within(end - performance.now(), this.#call(content));
      if (outcome?.kind === "taken") return true;
      if (outcome?.kind === "refused") return false;
      await pause.wait(Math.min(Math.random() * CLOSE_RETRY, Math.max(0, end - performance.now())), true);
    }
    return false;
  }

  /** Puts on the disk, at once, what isn't there yet. */
  #keepNow(): void {
    if (!this.#stored) return;
    for (const number of this.#open) this.#abandon(number);
    this.#stored.keepNow();
  }

  get #counted(): Counted {
    return { numbers: this.#numbers, backlog: this.#backlog, losses: this.#losses, sender: this.#sender };
  }
}

/** Null for what isn't a number as `correlationHeaders` gives it. */
const numberIn = (given: unknown): bigint | null =>
  typeof given === "string" && /^\d{1,19}$/.test(given) ? BigInt(given) : typeof given === "bigint" ? given : null;

/** Milliseconds; the usual ones in place of what is no time at all. */
const bounded = (deadline: number): number => (deadline >= 0 ? deadline : CLOSE_DEADLINE);
