import { randomUUID } from "node:crypto";
import { LineSeal } from "../disk/line-seal.js";
import type { PendingEntry } from "./entry.js";
import type { FoldBatch } from "./fold-batch.js";

/** The process that a file belongs to, so that no other takes it while that one runs. */
export interface FoldFileOwner {
  readonly pid: number;
  /** When it began, as the system says: ids of processes come again. */
  readonly started: string;
}

const FORMAT = "auditql-folds/2";

/**
 * The lines of one run of a file of folds. Each is sealed with the key that DATA_DIR's spool has: it verifies in this file
 * alone, and behind those alone that were before it.
 */
export class FoldLines {
  /** The first line. */
  readonly header: string;
  readonly #seal: LineSeal;
  #number = 0;

  constructor(key: Buffer, owner: FoldFileOwner) {
    const run = randomUUID();
    this.header = headerSeal(key).write(0, JSON.stringify({ format: FORMAT, run, owner } satisfies Header));
    this.#seal = new LineSeal(key, run);
  }

  next(content: FoldLine): string {
    this.#number += 1;
    return this.#seal.write(this.#number, JSON.stringify(content));
  }
}

/** The spool's headers have the same key and another name: neither file passes for the other. */
const headerSeal = (key: Buffer): LineSeal => new LineSeal(key, "header of folds");

/** What a file of folds says, as far as it verifies. */
export interface FoundFolds {
  /** Null where not even its first line verifies. */
  readonly owner: FoldFileOwner | null;
  readonly summaries: readonly PendingEntry[];
  /** Lines that no process with this key wrote so and there, or not whole, and those that tell of no summary. */
  readonly badLines: number;
}

/** Reads what `FoldLines` wrote. */
export function readFoldLines(text: string, key: Buffer): FoundFolds {
  const [first = "", ...lines] = text.split("\n").filter((it) => it !== "");
  const header = headerOf(first, key);
  if (!header) return { owner: null, badLines: lines.length + 1, summaries: [] };
  const seal = new LineSeal(key, header.run);
  const batches = new Map<string, PendingEntry>();
  let badLines = 0;
  let last = 0;
  for (const one of lines) {
    const line = seal.read(one);
    const told = line && line.number > last ? toldBy(line.payload) : null;
    last = Math.max(last, line?.number ?? 0);
    if (!told) badLines += 1;
    else if (told.summary) batches.set(told.batch, told.summary);
    else batches.delete(told.batch);
  }
  return { owner: header.owner, badLines, summaries: [...batches.values()] };
}

function headerOf(text: string, key: Buffer): Header | null {
  const line = headerSeal(key).read(text);
  if (line?.number !== 0) return null;
  const header = JSON.parse(line.payload) as Header;
  return header.format === FORMAT ? header : null;
}

/** Null where it can't be read, as one of another version. */
function toldBy(payload: string): { readonly batch: string; readonly summary: PendingEntry | null } | null {
  try {
    const content = JSON.parse(payload) as FoldLine;
    if ("done" in content) return { batch: content.done, summary: null };
    return { batch: content.batch, summary: summaryFrom(content.summary) };
  } catch {
    return null;
  }
}

interface Header {
  readonly format: string;
  /** Other than any file's before. */
  readonly run: string;
  readonly owner: FoldFileOwner;
}

type Text = Omit<PendingEntry, "sequenceNumber" | "repeats"> & {
  readonly sequenceNumber: string;
  readonly repeats: { readonly count: number; readonly sequenceNumbers: readonly (readonly [string, string])[] };
};
/** What one line says: the summary of a batch so far, or that it is in the log. */
export type FoldLine = { readonly batch: string; readonly summary: Text } | { readonly done: string };

/** What a batch comes to so far. */
export const batchLine = (batch: FoldBatch): FoldLine => ({ batch: batch.name, summary: summaryText(batch.summary()) });

/** 64 bits don't pass through a JavaScript number. */
function summaryText({ sequenceNumber, repeats, ...rest }: PendingEntry): Text {
  const sequenceNumbers = (repeats?.sequenceNumbers ?? []).map(
    ([first, last]) => [String(first), String(last)] as const,
  );
  return { ...rest, sequenceNumber: String(sequenceNumber), repeats: { count: repeats?.count ?? 0, sequenceNumbers } };
}

/** @throws where it is none of what is ever folded */
function summaryFrom({ sequenceNumber, repeats, ...rest }: Text): PendingEntry {
  const sequenceNumbers = repeats.sequenceNumbers.map(([first, last]) => [BigInt(first), BigInt(last)] as const);
  if (rest.outcome !== "DENIED" && rest.action !== "READ") throw new Error("Only DENIED and looks are folded.");
  // The process may have ended in the second before it would have told more.
  return {
    ...rest,
    sequenceNumber: BigInt(sequenceNumber),
    repeats: { count: repeats.count, sequenceNumbers, isLeast: true },
  };
}
