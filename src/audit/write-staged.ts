import type { ClientBase } from "pg";
import type { PendingEntry } from "./entry.js";
import { insertEntries } from "./insert-entries.js";

/** An entry that waits to be written. One with a cause waits for that one's id too. */
export interface StagedEntry {
  readonly entry: PendingEntry;
  /** The place, among the staged, of the entry that brought this one about. */
  readonly causedBy: number | null;
}

/**
 * Writes staged entries with one INSERT, and with a second one where entries cause others.
 *
 * @returns the ids that the database gave, in the order of the staged entries
 */
export async function writeStaged(client: ClientBase, staged: readonly StagedEntry[]): Promise<string[]> {
  const ids = new Map<number, string>();
  const write = async (places: readonly (readonly [number, StagedEntry])[]) => {
    const entries = places.map(([, { entry, causedBy }]) =>
      causedBy === null ? entry : { ...entry, causeId: ids.get(causedBy) ?? null },
    );
    const given = await insertEntries(client, entries);
    places.forEach(([place], index) => ids.set(place, given[index] ?? ""));
  };
  const places = [...staged.entries()];
  await write(places.filter(([, { causedBy }]) => causedBy === null));
  await write(places.filter(([, { causedBy }]) => causedBy !== null));
  return places.map(([place]) => ids.get(place) ?? "");
}
