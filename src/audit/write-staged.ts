import type { ClientBase } from "pg";
import type { PendingEntry } from "./entry.js";
import { commitWith, type TextRow } from "./commit-with.js";
import { idsIn, insertStatement } from "./insert-entries.js";

/** An entry that waits to be written. One with a cause waits for that one's id too. */
export interface StagedEntry {
  readonly entry: PendingEntry;
  /** The place, among the staged, of the entry that brought this one about. */
  readonly causedBy: number | null;
}

/** Writes the last of the entries, and commits with it. Gives the ids of all, in the order of the staged entries. */
export type Finish = (refused: (cause: Error) => unknown) => Promise<string[]>;

/** So many rows stay far below the 16 bits with which the protocol counts a statement's parameters. */
const MAX_ROWS = 100;

/**
 * Writes staged entries with one INSERT, a second one where entries cause others, and one for each further hundred. All
 * but the last have been answered when this resolves; the last is for the caller to send, with the transaction's COMMIT.
 *
 * @param staged one at least
 */
export async function writeStaged(client: ClientBase, staged: readonly StagedEntry[]): Promise<Finish> {
  const batches = batchesOf(staged);
  const last = batches.pop() ?? [];
  const known = new Map<number, string>();
  const written = (places: readonly number[]) => places.map((place) => withCause(staged, place, known));
  const learn = (places: readonly number[], rows: readonly TextRow[]) => {
    const ids = idsIn(rows, written(places));
    places.forEach((place, index) => known.set(place, ids[index] ?? ""));
  };
  for (const places of batches) {
    const { name, text, values } = insertStatement(written(places));
    // pg keeps account of what it has prepared itself, by other names than commitWith.
    const named = name === null ? {} : { name: `${name}:ahead` };
    const { rows } = await client.query<string[]>({ text, values, rowMode: "array", ...named });
    learn(places, rows);
  }
  return async (refused) => {
    learn(last, await commitWith(client, insertStatement(written(last)), refused));
    return staged.map((_, place) => known.get(place) ?? "");
  };
}

/** Writes staged entries in the client's transaction, which goes on: the ids of all, in the order of the staged. */
export async function writeWithin(client: ClientBase, staged: readonly StagedEntry[]): Promise<string[]> {
  const known = new Map<number, string>();
  for (const places of batchesOf(staged)) {
    const entries = places.map((place) => withCause(staged, place, known));
    const { text, values } = insertStatement(entries);
    const { rows } = await client.query<string[]>({ text, values, rowMode: "array" });
    const ids = idsIn(rows, entries);
    places.forEach((place, index) => known.set(place, ids[index] ?? ""));
  }
  return staged.map((_, place) => known.get(place) ?? "");
}

/** Places among the staged: first of what has no cause, then of what has one. */
function batchesOf(staged: readonly StagedEntry[]): number[][] {
  const places = staged.map((_, place) => place);
  const causing = places.filter((place) => staged[place]?.causedBy === null);
  const caused = places.filter((place) => staged[place]?.causedBy !== null);
  return [causing, caused].flatMap((phase) =>
    Array.from({ length: Math.ceil(phase.length / MAX_ROWS) }, (_, batch) =>
      phase.slice(batch * MAX_ROWS, (batch + 1) * MAX_ROWS),
    ),
  );
}

function withCause(staged: readonly StagedEntry[], place: number, known: ReadonlyMap<number, string>): PendingEntry {
  const it = staged[place];
  if (!it) throw new Error(`Nothing is staged at ${String(place)}.`);
  return it.causedBy === null ? it.entry : { ...it.entry, causeId: known.get(it.causedBy) ?? null };
}
