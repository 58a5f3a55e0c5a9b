import type { ClientBase } from "pg";
import type { PendingEntry } from "./entry.js";
import { insertEntries } from "./insert-entries.js";

/** An entry that waits to be written. One with a cause waits for that one's id too. */
export interface StagedEntry {
  readonly entry: PendingEntry;
  /** The place, among the staged, of the entry that brought this one about. */
  readonly causedBy: number | null;
}

/** Entries whose last INSERT has been sent. */
export interface Writing {
  /** The ids that the database gave, in the order of the staged entries; rejects where it refused any of them. */
  readonly ids: Promise<string[]>;
}

/** So many rows stay far below the 16 bits with which the protocol counts a statement's parameters. */
const MAX_ROWS = 100;

/**
 * Sends staged entries with one INSERT, a second one where entries cause others, and one for each further hundred. All
 * but the last have been answered when this resolves; the last has been sent, so that what follows it on the connection
 * runs after it.
 */
export async function sendStaged(client: ClientBase, staged: readonly StagedEntry[]): Promise<Writing> {
  const batches = batchesOf(staged);
  const known = new Map<number, string>();
  let sent: Promise<unknown> = Promise.resolve();
  for (const places of batches) {
    await sent;
    const entries = places.map((place) => withCause(staged, place, known));
    sent = insertEntries(client, entries).then((ids) =>
      places.forEach((place, index) => known.set(place, ids[index] ?? "")),
    );
  }
  const ids = sent.then(() => staged.map((_, place) => known.get(place) ?? ""));
  // Whoever sent them looks at the ids once COMMIT has been answered: until then a refusal is nobody's.
  ids.catch(() => undefined);
  return { ids };
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
