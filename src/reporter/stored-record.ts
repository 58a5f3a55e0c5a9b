import type { Loss } from "./losses.js";

/** What a line of the reporter's spool says. */
export type StoredRecord =
  /** With the entry's JSON. */
  | { readonly kind: "entry"; readonly sequenceNumber: bigint; readonly text: string }
  /** A number whose entry comes later. */
  | { readonly kind: "open"; readonly sequenceNumber: bigint }
  | { readonly kind: "lost"; readonly loss: Omit<Loss, "line"> };

const ENTRY = '{"entry":';

export const entryRecord = (text: string): string => `${ENTRY}${text}}`;

export const openRecord = (sequenceNumber: bigint): string => `{"open":"${String(sequenceNumber)}"}`;

export const lossRecord = ({ reason, first, last }: Loss): string =>
  JSON.stringify({ lost: [reason, String(first), String(last)] });

/** The entry's JSON, of a line that is known to be an entry's. */
export const entryTextOf = (text: string): string => text.slice(ENTRY.length, -1);

/** Null for what another version wrote. */
export function readRecord(text: string): StoredRecord | null {
  try {
    const { entry, open, lost } = JSON.parse(text) as {
      readonly entry?: { readonly sequenceNumber: string };
      readonly open?: string;
      readonly lost?: readonly [reason: string, first: string, last: string];
    };
    if (entry) return { kind: "entry", sequenceNumber: BigInt(entry.sequenceNumber), text: entryTextOf(text) };
    if (open !== undefined) return { kind: "open", sequenceNumber: BigInt(open) };
    return lost ? { kind: "lost", loss: { reason: lost[0], first: BigInt(lost[1]), last: BigInt(lost[2]) } } : null;
  } catch {
    return null;
  }
}
