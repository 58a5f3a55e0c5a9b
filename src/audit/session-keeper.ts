import { setTimeout as delay } from "node:timers/promises";
import type { StatedEntry } from "./entry.js";
import type { FoldBatch } from "./fold-batch.js";
import type { HeardSession, SessionStore } from "./session-store.js";
import type { Session, SessionWatcher } from "./session.js";

/** Milliseconds between two times that the sessions are heard of, unless said. */
const HEARTBEAT = 10_000;
/** A new session is heard of sooner, so that it is told from the beginning how far it is. */
const FIRST_HEARTBEAT = 1_000;
/** One in which nothing moves is heard of all the same after so long, since a minute's silence says that it ended. */
const LONGEST_SILENCE = 30_000;
/** After so many heartbeats, runs that ended unheard are looked after. */
const BEATS_TO_SWEEP = 6;
/** An entry of each is one row of an INSERT, whose parameters are counted with 16 bits. */
const MAX_BATCH = 500;
const MAX_HEARD = 1_000;
/** Beyond so many, sessions that were left are closed though not all is settled, and new ones aren't kept account of. */
const MAX_TRACKED = 20_000;
const MAX_STRANGERS = 1_000;
const FIRST_WAIT = 200;
const LONGEST_WAIT = 5_000;
/** At the stop, where a database that is away must hold up nothing. */
const MAX_TRIES = 3;

export interface SessionKeeperOptions {
  readonly store: SessionStore;
  /** Told of each session once, as it opens. Must not throw. */
  readonly onOpened: (session: Session) => void;
  /** Told why the sessions can't be kept, once until they can again. Must not throw. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds; ten seconds unless said. */
  readonly heartbeat?: number;
}

interface Tracked {
  readonly session: Session;
  isOpen: boolean;
  isLeft: boolean;
  heardMoves: number;
  heardAt: number;
  /** Of the gap for whose sake all of its entries were gone through. */
  derivedFor: string | null;
}

/**
 * Keeps account of this run's sessions in the database, behind the operations' backs: opens each with an entry, says
 * again and again how far it is, and closes it with another. No operation waits for any of it, or fails by it: what the
 * database doesn't take is tried again until the stop.
 */
export class SessionKeeper implements SessionWatcher {
  readonly #options: SessionKeeperOptions;
  readonly #tracked = new Map<string, Tracked>();
  /** Sessions of other runs that this one wrote entries of, such as what they left in a file. */
  readonly #strangers = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #isAsked = false;
  #isStopping = false;
  #failures = 0;
  #beats = 0;
  #nextBeat = 0;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    this.#planBeat();
  }

  opened(session: Session): void {
    this.#options.onOpened(session);
    if (this.#tracked.size >= MAX_TRACKED) {
      this.#options.onError(new Error("More sessions are open than account can be kept of."));
      return;
    }
    const heardAt = performance.now();
    const tracked = { session, isOpen: false, isLeft: false, heardMoves: -1, heardAt, derivedFor: null };
    this.#tracked.set(session.id, tracked);
    // After a failure it is time again soon enough.
    if (this.#failures === 0) this.#wake(0);
  }

  left({ id }: Session): void {
    const tracked = this.#tracked.get(id);
    if (tracked) tracked.isLeft = true;
  }

  /** The operations that left these entries have ended. */
  settle(entries: readonly StatedEntry[]): void {
    for (const { sessionId, sequenceNumber, repeats, reportedBy } of entries) {
      // Each report notes its session's numbers itself.
      if (reportedBy) continue;
      const session = this.#tracked.get(sessionId)?.session;
      if (!session) {
        if (this.#strangers.size < MAX_STRANGERS) this.#strangers.add(sessionId);
        continue;
      }
      if (sequenceNumber === null) continue;
      session.settle(sequenceNumber);
      // Those behind the summary's own were settled when they were folded.
      for (const [first, last] of repeats?.sequenceNumbers ?? [])
        for (let number = first; number <= last && number < sequenceNumber; number++) session.settle(number);
    }
  }

  /**
   * The attempt goes into a summary, whose own number is settled once that is written. Until then it is the lower one, so
   * that those behind it needn't be remembered: there may be very many.
   */
  folded({ sessionId, sequenceNumber }: StatedEntry, { firstNumber }: Pick<FoldBatch, "firstNumber">): void {
    if (sequenceNumber !== null && sequenceNumber > firstNumber)
      this.#tracked.get(sessionId)?.session.settle(sequenceNumber);
  }

  /**
   * Closes what is open, as far as it gets within so many milliseconds; the others stay open, as those of a run that was
   * killed.
   *
   * @throws why not all could be closed
   */
  async stop(deadline: number): Promise<void> {
    const end = performance.now() + deadline;
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await this.#running;
    for (let tries = 1; ; tries++)
      try {
        await this.#closeAll(end);
        return;
      } catch (error) {
        const wait = FIRST_WAIT * (0.5 + Math.random() / 2);
        if (tries === MAX_TRIES || performance.now() + wait >= end) throw error;
        await delay(wait);
      }
  }

  async #closeAll(end: number): Promise<void> {
    await this.#openNew();
    for (const batch of batches([...this.#tracked.values()], MAX_BATCH)) {
      if (performance.now() >= end) throw new Error(`${String(this.#tracked.size)} sessions stay open.`);
      await this.#close(batch);
    }
  }

  #wake(milliseconds: number): void {
    if (this.#isStopping) return;
    if (this.#running) {
      this.#isAsked = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => {
        this.#running = null;
        this.#planNext();
      });
    }, milliseconds).unref();
  }

  #planNext(): void {
    const backoff = Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LONGEST_WAIT) * (0.5 + Math.random() / 2);
    if (this.#failures > 0) this.#wake(backoff);
    else this.#wake(this.#isAsked ? 0 : Math.max(0, this.#nextBeat - performance.now()));
    this.#isAsked = false;
  }

  #planBeat(): void {
    // So that processes don't meet at the same moments for ever.
    this.#nextBeat = performance.now() + (this.#options.heartbeat ?? HEARTBEAT) * (0.9 + Math.random() / 5);
  }

  async #run(): Promise<void> {
    try {
      await this.#openNew();
      if (performance.now() >= this.#nextBeat) {
        await this.#beat();
        this.#planBeat();
      }
      this.#failures = 0;
    } catch (error) {
      if (this.#failures === 0 && !this.#isStopping) this.#options.onError(error);
      this.#failures += 1;
    }
  }

  async #openNew(): Promise<void> {
    const unopened = [...this.#tracked.values()].filter(({ isOpen }) => !isOpen);
    for (const batch of batches(unopened, MAX_BATCH)) {
      await this.#options.store.open(batch.map(({ session }) => session));
      for (const tracked of batch) tracked.isOpen = true;
      this.#nextBeat = Math.min(this.#nextBeat, performance.now() + FIRST_HEARTBEAT);
    }
  }

  async #beat(): Promise<void> {
    const { store } = this.#options;
    const upTo = await store.horizon();
    for (const batch of batches(this.#toHear(), MAX_HEARD)) {
      const moves = batch.map(({ session }) => session.progress.moves);
      const gaps = await store.hear(batch.map(heard), upTo);
      batch.forEach((tracked, index) => {
        tracked.heardMoves = moves[index] ?? -1;
        tracked.heardAt = performance.now();
      });
      await this.#fillGaps(gaps);
    }
    await this.#closeLeft();
    if (this.#strangers.size > 0 || this.#beats % BEATS_TO_SWEEP === 0) {
      const strangers = [...this.#strangers];
      await store.catchUp(strangers, upTo);
      for (const id of strangers) this.#strangers.delete(id);
    }
    this.#beats += 1;
  }

  #toHear(): Tracked[] {
    const now = performance.now();
    return [...this.#tracked.values()].filter(
      (it) => it.isOpen && (hasMoved(it) || now - it.heardAt >= LONGEST_SILENCE),
    );
  }

  /** A clock that was set back gives entries ids below where they are looked for: before a gap is believed, all are. */
  async #fillGaps(gaps: ReadonlyMap<string, string>): Promise<void> {
    for (const [id, gap] of gaps) {
      const tracked = this.#tracked.get(id);
      if (!tracked || tracked.derivedFor === gap) continue;
      await this.#options.store.derive(id);
      tracked.derivedFor = gap;
    }
  }

  async #closeLeft(): Promise<void> {
    const isCrowded = this.#tracked.size >= MAX_TRACKED;
    const left = [...this.#tracked.values()].filter(
      ({ session, isOpen, isLeft }) =>
        isOpen && isLeft && (isCrowded || session.progress.settled === session.progress.taken),
    );
    for (const batch of batches(left, MAX_BATCH)) await this.#close(batch);
  }

  async #close(batch: readonly Tracked[]): Promise<void> {
    await this.#options.store.close(batch.map(heard));
    for (const { session } of batch) this.#tracked.delete(session.id);
  }
}

const hasMoved = ({ session, heardMoves }: Tracked): boolean => session.progress.moves !== heardMoves;

function heard(tracked: Tracked): HeardSession {
  const { id, tenantId, progress } = tracked.session;
  return { id, tenantId, taken: progress.taken, settled: progress.settled, hasMoved: hasMoved(tracked) };
}

function* batches<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
