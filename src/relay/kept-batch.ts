import { member, type Batch } from "./batch.js";

/** A batch as a line of the spool, and what is told of it without reading the rest. */
export interface KeptBatch {
  /** When it came, by this machine's clock, in milliseconds since 1970. */
  readonly at: number;
  readonly entries: number;
  readonly sessionId: string;
}

const form = /^\{"at":(\d{1,15}),"count":(\d{1,4}),"batch":\{"sessionId":"([0-9a-f-]{36})"/;

export const keptText = (batch: Batch, at: number): string =>
  JSON.stringify({ at, count: batch.entries.length, batch });

/** Null where the line isn't a relay's. */
export function keptHead(text: string): KeptBatch | null {
  const [, at, entries, sessionId] = form.exec(text) ?? [];
  if (sessionId === undefined) return null;
  // A copy: a part of the text would keep all of it in memory.
  return { at: Number(at), entries: Number(entries), sessionId: Buffer.from(sessionId).toString() };
}

/** Undoes `keptText`, of a line that verified: what this relay wrote, it has checked. */
export const keptBatch = (text: string): Batch => member(JSON.parse(text), "batch") as Batch;
