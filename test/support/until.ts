import { setTimeout as delay } from "node:timers/promises";

export interface UntilOptions {
  /** What is waited for, as a sentence: "the server is ready". */
  what: string;
  /** In milliseconds; 5,000 where it isn't given. */
  deadline?: number;
  /** Between two looks, in milliseconds; 20 where it isn't given. */
  interval?: number;
}

/**
 * Looks again and again until `check` answers something truthy, and answers that.
 *
 * A check that throws is one that doesn't hold yet. Past the deadline it throws, saying what was waited for and what
 * the last look showed.
 */
export async function until<T>(
  check: () => T | Promise<T>,
  { what, deadline = 5_000, interval = 20 }: UntilOptions,
): Promise<NonNullable<T>> {
  const end = performance.now() + deadline;
  for (;;) {
    const look = await lookOnce(check);
    if (look.found) return look.found;
    if (performance.now() > end) {
      const shown = look.error instanceof Error ? look.error.message : String(look.found);
      throw new Error(`waited ${deadline} ms in vain until ${what}; the last look: ${shown}`, { cause: look.error });
    }
    await delay(interval);
  }
}

async function lookOnce<T>(check: () => T | Promise<T>): Promise<{ found?: T; error?: unknown }> {
  try {
    return { found: await check() };
  } catch (error) {
    return { error };
  }
}
