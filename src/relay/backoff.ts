import { setTimeout as delay } from "node:timers/promises";

const FIRST_MILLISECONDS = 200;
const LONGEST_MILLISECONDS = 10_000;

/** How long to wait after so many failures in a row: anything up to twice as much each time, ten seconds at most. */
export const backoff = (failures: number): number =>
  Math.random() * Math.min(LONGEST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** Math.min(failures, 16));

/** Waits, or until the signal: it never rejects. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => undefined);
}
