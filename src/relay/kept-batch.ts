import { member, type Batch } from "./batch.js";

/** A batch as a line of the spool, and what is told of it without reading the rest. */
export interface KeptBatch {
  /** When it came, by this machine's clock, in milliseconds since 1970. */
  readonly at: number;
  readonly entries: number;
}

const form = /^\{"at":(\d{1,15}),"count":(\d{1,4}),"batch":/;

export const keptText = (batch: Batch, at: number): string =>
  JSON.stringify({ at, count: batch.entries.length, batch });

/** Null where the line isn't a relay's. */
export function keptHead(text: string): KeptBatch | null {
  const [, at, entries] = form.exec(text) ?? [];
  return entries === undefined ? null : { at: Number(at), entries: Number(entries) };
}

/** Undoes `keptText`, of a line that verified: what this relay wrote, it has checked. */
export const keptBatch = (text: string): Batch => member(JSON.parse(text), "batch") as Batch;
