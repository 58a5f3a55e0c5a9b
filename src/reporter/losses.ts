/** Numbers from first to last that will never come, and why. */
export interface Loss {
  readonly reason: string;
  readonly first: bigint;
  readonly last: bigint;
  /** The line of a spool that keeps it; null while none does. */
  readonly line: number | null;
}

interface WaitingLoss extends Loss {
  last: bigint;
  line: number | null;
  /** Whether it is being written to a spool: it doesn't grow then. */
  isSaving: boolean;
}

const MAX_REASONS = 40;
const MAX_RANGES = 10_000;
const OTHER = "other";

/**
 * What will never come, by reason, in ranges of numbers, until it is told. Ranges beyond ten thousand that wait are not
 * listed any more: their numbers show as missing.
 */
export class Losses {
  #waiting: WaitingLoss[] = [];
  readonly #counts = new Map<string, number>();
  /** How many of those that wait a spool keeps. */
  #saved = 0;
  /** How many `take` has given, that are neither told nor put back. */
  #underWay = 0;
  #gone = 0;

  /** @param isKept whether a spool keeps them: then they are told only once it does */
  constructor(private readonly isKept: boolean) {}

  /** How many there were, by reason, told or not. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** How many ranges wait to be told, or are being told. */
  get waiting(): number {
    return this.#waiting.length + this.#underWay;
  }

  /** How many of them can be told now. */
  get ready(): number {
    return this.isKept ? this.#saved : this.#waiting.length;
  }

  /** How many ranges have been told. */
  get gone(): number {
    return this.#gone;
  }

  /** Whether some are still to be kept by a spool. */
  get hasUnsaved(): boolean {
    return this.#waiting.some(isUnsaved);
  }

  /** Whether a spool keeps every one. */
  get isSaved(): boolean {
    return this.#waiting.every(({ line }) => line !== null);
  }

  /** Counts what nobody is told any more. */
  count(reason: string, count: number): void {
    if (count > 0) this.#count(reason, count);
  }

  add(reason: string, first: bigint, last = first): void {
    const known = this.#count(reason, Number(last - first + 1n));
    const previous = this.#waiting.at(-1);
    if (previous && isUnsaved(previous) && previous.reason === known && previous.last + 1n === first) {
      previous.last = last;
    } else {
      this.#keep({ reason: known, first, last, line: null, isSaving: false });
    }
  }

  /** Adds what a spool has kept since an earlier run, which has counted it. */
  restore(loss: Loss): void {
    if (this.#waiting.length < MAX_RANGES) this.#countSaved([loss], 1);
    this.#keep({ ...loss, isSaving: false });
  }

  /** Takes out what is told next: for good once it is `told`, else to be put back. */
  take(limit: number): readonly Loss[] {
    const taken = this.#waiting.filter(({ line }) => line !== null || !this.isKept).slice(0, limit);
    const gone = new Set(taken);
    this.#countSaved(taken, -1);
    this.#waiting = this.#waiting.filter((loss) => !gone.has(loss));
    this.#underWay += taken.length;
    return taken;
  }

  /** @param taken what `take` gave */
  told(taken: readonly Loss[]): void {
    this.#underWay -= taken.length;
    this.#gone += taken.length;
  }

  /** @param taken what `take` gave */
  putBack(taken: readonly Loss[]): void {
    this.#underWay -= taken.length;
    this.#countSaved(taken, 1);
    this.#waiting.unshift(...taken.map((loss) => ({ ...loss, isSaving: false })));
  }

  /** Those that no spool keeps yet; each stays as it is until `saved` is told of it. */
  save(): readonly Loss[] {
    const losses = this.#waiting.filter(isUnsaved);
    for (const loss of losses) loss.isSaving = true;
    return losses;
  }

  /** @param lines where the spool keeps them now, in their order; none where it couldn't */
  saved(losses: readonly Loss[], lines: readonly number[]): void {
    const lineOf = new Map(losses.map((loss, at) => [loss, lines[at] ?? null]));
    for (const loss of this.#waiting) {
      const line = lineOf.get(loss);
      if (line === undefined) continue;
      loss.line = line;
      loss.isSaving = false;
      if (line !== null) this.#saved += 1;
    }
  }

  #countSaved(losses: readonly Loss[], sign: 1 | -1): void {
    this.#saved += sign * losses.filter(({ line }) => line !== null).length;
  }

  #count(reason: string, count: number): string {
    const known = this.#counts.has(reason) || this.#counts.size < MAX_REASONS ? reason : OTHER;
    this.#counts.set(known, (this.#counts.get(known) ?? 0) + count);
    return known;
  }

  #keep(loss: WaitingLoss): void {
    if (this.#waiting.length < MAX_RANGES) this.#waiting.push(loss);
  }
}

const isUnsaved = ({ line, isSaving }: WaitingLoss): boolean => line === null && !isSaving;
