import type { PendingEntry, Repeats } from "../entry.js";
import type { TransactionMark } from "../transaction-mark.js";
import type { StagedEntry } from "../write-staged.js";

/** The entries of one attempt, which are written together or not at all. */
export interface SpooledAttempt {
  /** When it was, by this process's clock, in ISO 8601. */
  readonly claimedAt: string;
  /** The transaction that may have been committed: only where it wasn't do the entries say the truth. */
  readonly undecided: TransactionMark | null;
  readonly staged: readonly StagedEntry[];
}

type Common = Pick<PendingEntry, "tenantId" | "actor" | "origin" | "attempted">;
type EntryJson = Partial<Common> & Omit<PendingEntry, keyof Common | "sequenceNumber" | "repeats"> & RestJson;

interface RestJson {
  /** As text: 64 bits don't pass through a JavaScript number. */
  readonly sequenceNumber: string;
  readonly repeats?: Omit<Repeats, "sequenceNumbers"> & {
    readonly sequenceNumbers: readonly (readonly [first: string, last: string])[];
  };
  readonly causedBy: number | null;
}

interface AttemptJson extends Omit<SpooledAttempt, "staged"> {
  /** What the entries share, once: a call with a hundred ids has its arguments a hundred times. */
  readonly common: Common;
  readonly entries: readonly EntryJson[];
}

/** One attempt as JSON without line breaks. */
export function attemptToText({ claimedAt, undecided, staged }: SpooledAttempt): string {
  const [first] = staged;
  if (!first) throw new Error("An attempt without an entry can't be kept.");
  const { tenantId, actor, origin, attempted } = first.entry;
  const common = { tenantId, actor, origin, attempted };
  const attempt: AttemptJson = { claimedAt, undecided, common, entries: staged.map((it) => entryToJson(it, common)) };
  return JSON.stringify(attempt);
}

/** Undoes `attemptToText`. @throws where the text is another's */
export function attemptFromText(text: string): SpooledAttempt {
  const { claimedAt, undecided, common, entries } = JSON.parse(text) as AttemptJson;
  if (Number.isNaN(Date.parse(claimedAt))) throw new Error("It doesn't say when it was.");
  return { claimedAt, undecided, staged: entries.map((entry) => entryFromJson(entry, common)) };
}

function entryToJson({ entry, causedBy }: StagedEntry, common: Common): EntryJson {
  const { tenantId, actor, origin, attempted, sequenceNumber, repeats, ...rest } = entry;
  return {
    ...rest,
    ...(tenantId !== common.tenantId && { tenantId }),
    ...(actor !== common.actor && { actor }),
    ...(origin !== common.origin && { origin }),
    ...(attempted !== common.attempted && { attempted }),
    sequenceNumber: String(sequenceNumber),
    ...(repeats && {
      repeats: {
        ...repeats,
        sequenceNumbers: repeats.sequenceNumbers.map(([first, last]) => [String(first), String(last)] as const),
      },
    }),
    causedBy,
  };
}

function entryFromJson({ causedBy, sequenceNumber, repeats, ...rest }: EntryJson, common: Common): StagedEntry {
  const entry: PendingEntry = {
    ...common,
    ...rest,
    sequenceNumber: BigInt(sequenceNumber),
    repeats: repeats
      ? {
          ...repeats,
          sequenceNumbers: repeats.sequenceNumbers.map(([first, last]) => [BigInt(first), BigInt(last)] as const),
        }
      : null,
  };
  return { entry, causedBy };
}
