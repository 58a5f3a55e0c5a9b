import { codeOf } from "../disk/code-of.js";
import { LineSpool, LineSpoolInUseError } from "../disk/line-spool.js";
import { SetAsideFullError } from "../disk/set-aside.js";
import { Losses, type Loss } from "./losses.js";
import { reservedBehind, StoredNumbers } from "./numbers.js";
import type { ReporterSettings } from "./options.js";
import { readBootId, SessionFile, type SessionState } from "./session-file.js";
import type { StoredEntry } from "./stored-backlog.js";
import { lossRecord, readRecord } from "./stored-record.js";
import { uuidV7 } from "./uuid-v7.js";

/** A session that outlives the process: an earlier run's that wasn't closed, or a new one. */
export interface StoredSession {
  readonly sessionId: string;
  /** Of the run that opened it. */
  readonly source: ReporterSettings["source"];
  readonly spool: LineSpool;
  readonly file: SessionFile;
  readonly numbers: StoredNumbers;
  readonly losses: Losses;
  /** What waits since an earlier run, in its order. */
  readonly entries: readonly StoredEntry[];
}

/** The spool's folder can't be used; what to do about it is in the message. */
export class ReporterSpoolError extends Error {
  override readonly name = "ReporterSpoolError";
}

/** Why a killed process's last numbers never come; of the last sixteen, some may never have been taken. */
const CRASH = "crash";

/** @throws ReporterSpoolError where another process uses the folder, or the system refuses it */
export async function openStoredSession(
  { spool: place, source, notify }: ReporterSettings,
  folder: string,
): Promise<StoredSession> {
  const onTrouble = (cause: unknown): void =>
    notify({ kind: "spool", message: `The spool in ${folder} has trouble; entries wait in memory.`, cause });
  const spool = await LineSpool.open(folder, {
    maxBytes: place?.maxBytes ?? 0,
    onSetAside: (lines, file) => {
      notify({ kind: "spool", message: `${lines} lines that aren't this spool's lie in ${file}: look at them.` });
    },
    onTrouble,
  }).catch((cause: unknown) => {
    throw asSpoolError(folder, cause);
  });
  try {
    return await continueSession(spool, { source, notify }, onTrouble);
  } catch (cause) {
    await spool.close();
    throw asSpoolError(folder, cause);
  }
}

async function continueSession(
  spool: LineSpool,
  { source, notify }: Pick<ReporterSettings, "source" | "notify">,
  onTrouble: (error: unknown) => void,
): Promise<StoredSession> {
  const [file, bootId] = await Promise.all([SessionFile.open(spool.folder), readBootId()]);
  const left = file.found;
  const free = left ? (left.bootId === bootId ? left.taken : left.reserved) : 0n;
  const { entries, losses, orphans, unsent, first } = await recover(spool, left !== null, left?.written ?? 0n, free);
  const state: SessionState = {
    sessionId: left?.sessionId ?? uuidV7(),
    source: left?.source ?? source,
    bootId,
    taken: first,
    reserved: reservedBehind(first),
    written: first,
  };
  if (unsent > 0) {
    const message = `Entries of an earlier run whose session can't be read lie in ${spool.setAsideFile}: look at them.`;
    notify({ kind: "spool", message });
  }
  // What the earlier run lost is on the disk before anything says that its numbers are told of.
  const saving = losses.save();
  // The earlier run's end may have written more than there is room for.
  const lines = await spool.append(saving.map(lossRecord), false);
  losses.saved(saving, lines);
  spool.done(orphans);
  file.write(state);
  await file.sync();
  const numbers = new StoredNumbers(file, state, first, onTrouble);
  return { sessionId: state.sessionId, source: state.source, spool, file, numbers, losses, entries };
}

interface Recovered {
  readonly entries: readonly StoredEntry[];
  readonly losses: Losses;
  /** Lines of numbers that nobody will report any more. */
  readonly orphans: readonly number[];
  /** How many lines can't be sent, and lie aside. */
  readonly unsent: number;
  /** The first number that no earlier run can have taken. */
  readonly first: bigint;
}

/**
 * Reads what waits, and finds the numbers that no line tells of. Without a session no line can be sent: it is set aside.
 *
 * @param free the first number that wasn't taken, as the file says: behind a power cut, lines may know more
 */
async function recover(spool: LineSpool, hasSession: boolean, written: bigint, free: bigint): Promise<Recovered> {
  const entries = new Map<bigint, StoredEntry>();
  const opens = new Map<bigint, number>();
  const losses = new Losses(true);
  const known: Pick<Loss, "first" | "last">[] = [];
  const lost: Pick<Loss, "first" | "last">[] = [];
  let unsent = 0;
  for await (const { number: line, text } of spool.pending()) {
    const record = hasSession ? readRecord(text) : null;
    if (record === null) {
      await spool.setAside(line, hasSession ? "can't be read" : "belongs to no session");
      unsent += 1;
    } else if (record.kind === "lost") {
      losses.restore({ ...record.loss, line });
      known.push(record.loss);
      lost.push(record.loss);
    } else {
      const { sequenceNumber } = record;
      known.push({ first: sequenceNumber, last: sequenceNumber });
      const lines = record.kind === "entry" ? entries : opens;
      // What was being written as the process exited may stand there twice.
      if (lines.has(sequenceNumber)) spool.done([line]);
      else if (record.kind === "entry") entries.set(sequenceNumber, { line, sequenceNumber });
      else opens.set(sequenceNumber, line);
    }
  }
  // A crash may have left the line of a number whose entry, or loss, is there by now.
  const openNumbers = [...opens.keys()].filter((number) => !entries.has(number));
  for (const number of uncovered(openNumbers, lost)) losses.add(CRASH, number);
  const first = known.reduce((most, { last }) => (last >= most ? last + 1n : most), free);
  for (const gap of gapsOf(known, written, first)) losses.add(CRASH, gap.first, gap.last);
  return { entries: [...entries.values()], losses, orphans: [...opens.values()], unsent, first };
}

/** The numbers from `begin` below `end` that none of the ranges holds. */
function gapsOf(
  ranges: readonly Pick<Loss, "first" | "last">[],
  begin: bigint,
  end: bigint,
): Pick<Loss, "first" | "last">[] {
  const gaps: Pick<Loss, "first" | "last">[] = [];
  let next = begin;
  const sorted = ranges.toSorted(byFirst);
  for (const { first, last } of sorted) {
    if (first > next) gaps.push({ first: next, last: first - 1n });
    if (last >= next) next = last + 1n;
  }
  if (next < end) gaps.push({ first: next, last: end - 1n });
  return gaps;
}

/** The numbers that none of the ranges holds. */
function uncovered(numbers: readonly bigint[], ranges: readonly Pick<Loss, "first" | "last">[]): bigint[] {
  const sorted = ranges.toSorted(byFirst);
  let at = 0;
  let reach = -1n;
  return numbers.toSorted(ascending).filter((number) => {
    for (let range = sorted[at]; range && range.first <= number; range = sorted[++at]) {
      if (range.last > reach) reach = range.last;
    }
    return number > reach;
  });
}

const ascending = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0);
const byFirst = (left: Pick<Loss, "first">, right: Pick<Loss, "first">): number => ascending(left.first, right.first);

function asSpoolError(folder: string, cause: unknown): ReporterSpoolError {
  if (cause instanceof LineSpoolInUseError || cause instanceof SetAsideFullError)
    return new ReporterSpoolError(cause.message, { cause });
  const why = codeOf(cause) ?? "for an unknown reason";
  return new ReporterSpoolError(`${folder} can't be used for entries that wait (${why}).`, { cause });
}
