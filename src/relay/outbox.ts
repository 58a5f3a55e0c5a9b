import { LineSpool, LineSpoolFullError, type LineSpoolOptions } from "../disk/line-spool.js";
import type { SetAside } from "../disk/set-aside.js";
import { MOST_ENTRIES, type Batch } from "./batch.js";
import type { SpoolState } from "./metrics.js";
import { keptBatch, keptHead, keptText, type KeptBatch } from "./kept-batch.js";
import { ReadWindow } from "./read-window.js";

/** What one session has to send at once: up to 1,000 entries, in the order in which they came. */
export interface Consignment {
  readonly batch: Batch;
  /** The lines of the spool that it stands for. */
  readonly lines: readonly number[];
}

interface WaitingBatch {
  readonly line: number;
  readonly batch: Batch;
  readonly bytes: number;
}

interface Lane {
  readonly waiting: WaitingBatch[];
  /** Its sessions' calls go one after the other. */
  isBusy: boolean;
}

/** What is told of a batch while it waits on the disk takes some hundred octets of memory. */
const MOST_BATCHES = 250_000;
/** An API takes bodies of 2 MB. */
const CALL_BYTES = 1024 * 1024;

/**
 * The batches that are on the disk and not yet with the API: kept in their order, given out session by session.
 *
 * Each session's batches are given out one consignment at a time, in their order; sessions take turns, also in what is read
 * from the disk. Give a consignment back with `finish`, or with `putBack` where nothing came of it.
 */
export class Outbox {
  readonly #index = new Map<number, Pick<KeptBatch, "at" | "entries">>();
  readonly #window = new ReadWindow();
  /** Lines that are being read, or couldn't be. */
  #reading: readonly number[] = [];
  readonly #lanes = new Map<string, Lane>();
  #entries = 0;
  #loading: Promise<boolean> | null = null;
  #isStopped = false;
  /** Grows with everything that may be waited for. */
  #version = 0;
  #watchers: (() => void)[] = [];

  private constructor(
    private readonly spool: LineSpool,
    private readonly onLost: (entries: number) => void,
  ) {}

  /**
   * Opens the folder's spool; what an earlier run left there waits again.
   *
   * @param onLost told of entries whose lines don't verify any more
   * @throws what `LineSpool.open` throws
   */
  static async open(folder: string, options: LineSpoolOptions, onLost: (entries: number) => void): Promise<Outbox> {
    const outbox = new Outbox(await LineSpool.open(folder, options), onLost);
    await outbox.#find();
    return outbox;
  }

  /** Where the folder keeps what can't go on its way. */
  get aside(): SetAside {
    return this.spool.aside;
  }

  /** What waits or is under way: entries, octets on the disk, and when the first batch came. */
  get state(): SpoolState {
    const [first] = this.#index.values();
    return { entries: this.#entries, bytes: this.spool.state.bytes, since: first?.at ?? null };
  }

  /**
   * Keeps a batch, on the disk once this resolves.
   *
   * @param isBounded false for the one that ends a run: no other one brings what it says
   * @throws LineSpoolFullError, or what the system says
   */
  async append(batch: Batch, isBounded = true): Promise<void> {
    if (isBounded && this.#index.size >= MOST_BATCHES)
      throw new LineSpoolFullError("The spool holds as many batches as it may.");
    const text = keptText(batch, Date.now());
    const [line] = await this.spool.append([text], isBounded);
    if (line !== undefined) this.#add(line, text);
    this.#changed();
  }

  /** The next consignment, once there is one; null once this is stopped. @throws what the system says of the spool */
  async next(): Promise<Consignment | null> {
    while (!this.#isStopped) {
      const seen = this.#version;
      // The more is at hand, the more goes in one call.
      if (!this.#window.isHalfFull && (await this.#load())) continue;
      const lane = this.#freeLane();
      if (lane) return this.#take(lane);
      if (!(await this.#load())) await this.#changedSince(seen);
    }
    return null;
  }

  /** The API has it, or it stands aside. */
  finish({ batch, lines }: Consignment): void {
    for (const line of lines) {
      this.#entries -= this.#index.get(line)?.entries ?? 0;
      this.#index.delete(line);
    }
    this.spool.done(lines);
    this.#window.release(lines);
    this.#lanes.get(batch.sessionId)?.waiting.splice(0, lines.length);
    this.#release(batch.sessionId);
  }

  /** It has to be given out again. */
  putBack({ batch }: Consignment): void {
    this.#release(batch.sessionId);
  }

  /** Resolves once nothing waits, or once this is stopped. */
  async emptied(): Promise<void> {
    while (this.#index.size > 0 && !this.#isStopped) await this.#changedSince(this.#version);
  }

  /** Gives nothing out any more. */
  stop(): void {
    this.#isStopped = true;
    this.#changed();
  }

  /** Takes nothing any more; what was taken stays for the next run. */
  close(): Promise<void> {
    return this.spool.close();
  }

  async #find(): Promise<void> {
    for await (const { number, text } of this.spool.pending()) {
      if (keptHead(text)) this.#add(number, text);
      else await this.spool.setAside(number, "isn't a relay's");
    }
  }

  #add(line: number, text: string): void {
    const { at, entries, sessionId } = keptHead(text) ?? { at: Date.now(), entries: 0, sessionId: "" };
    this.#index.set(line, { at, entries });
    this.#window.add(sessionId, line, text.length);
    this.#entries += entries;
  }

  #freeLane(): Lane | undefined {
    for (const lane of this.#lanes.values()) if (!lane.isBusy) return lane;
    return undefined;
  }

  #take(lane: Lane): Consignment {
    lane.isBusy = true;
    const together = joined(lane.waiting);
    const [first] = together;
    if (!first) throw new Error("A lane without batches isn't kept.");
    const taken = together.map(({ batch }) => batch.taken).findLast((it) => it !== null) ?? null;
    const batch: Batch = {
      ...first.batch,
      entries: together.flatMap((it) => it.batch.entries),
      dropped: together.flatMap((it) => it.batch.dropped),
      taken,
      close: together.some((it) => it.batch.close),
    };
    return { batch, lines: together.map(({ line }) => line) };
  }

  /** Sessions take turns: the one that was served comes last. */
  #release(sessionId: string): void {
    const lane = this.#lanes.get(sessionId);
    this.#lanes.delete(sessionId);
    if (lane && lane.waiting.length > 0) this.#lanes.set(sessionId, { ...lane, isBusy: false });
    this.#changed();
  }

  /** Reads on where there is room; whether there was anything to read. */
  #load(): Promise<boolean> {
    this.#loading ??= this.#loadOnce().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #loadOnce(): Promise<boolean> {
    if (this.#reading.length === 0) this.#reading = this.#window.take();
    const lines = this.#reading;
    if (lines.length === 0) return false;
    const found = await this.spool.read(lines);
    this.#reading = [];
    for (const { number, text } of found) this.#enqueue(number, text);
    const there = new Set(found.map(({ number }) => number));
    this.#forget(lines.filter((line) => !there.has(line)));
    return true;
  }

  #enqueue(line: number, text: string): void {
    const batch = keptBatch(text);
    const lane = this.#lanes.get(batch.sessionId) ?? { waiting: [], isBusy: false };
    lane.waiting.push({ line, batch, bytes: text.length });
    this.#lanes.set(batch.sessionId, lane);
  }

  /** The spool keeps them aside: they were altered since they were written. */
  #forget(lines: readonly number[]): void {
    const entries = lines.reduce((sum, line) => sum + (this.#index.get(line)?.entries ?? 0), 0);
    for (const line of lines) this.#index.delete(line);
    this.#window.release(lines);
    this.#entries -= entries;
    if (lines.length === 0) return;
    this.onLost(entries);
    this.#changed();
  }

  #changed(): void {
    this.#version += 1;
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const tell of watchers) tell();
  }

  #changedSince(version: number): Promise<void> {
    if (this.#version !== version) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push(resolve));
  }
}

/** The first batches that fit into one call. What says more than its entries ends it: it holds once they are there. */
function joined(waiting: readonly WaitingBatch[]): WaitingBatch[] {
  const together: WaitingBatch[] = [];
  let [entries, bytes] = [0, 0];
  for (const each of waiting) {
    entries += each.batch.entries.length;
    bytes += each.bytes;
    const [first] = together;
    const fits = entries <= MOST_ENTRIES && bytes <= CALL_BYTES && sameSource(first?.batch ?? each.batch, each.batch);
    if (first && !fits) break;
    together.push(each);
    if (each.batch.dropped.length > 0 || each.batch.close) break;
  }
  return together;
}

const sameSource = ({ source: one }: Batch, { source: other }: Batch): boolean =>
  one.program === other.program && one.version === other.version && one.host === other.host;
