import type { Backlog } from "./backlog.js";
import type { Losses } from "./losses.js";
import type { Numbers } from "./numbers.js";
import type { Sender } from "./sender.js";

/** What has become of all entries of a run. */
export interface CloseResult {
  /** Stand in the log. */
  readonly sent: number;
  /** Were refused for good, and reported as such. */
  readonly setAside: number;
  /** Will never come; without a spool, those too that the deadline has cut off. */
  readonly lost: number;
  /** Wait in the spool for the next run. */
  readonly kept: number;
  /** Whether the API has everything, and knows that the session has ended. */
  readonly isClosed: boolean;
}

export interface ReporterStats {
  /** How many numbers have been taken. */
  readonly taken: bigint;
  readonly waiting: number;
  readonly sent: number;
  readonly setAside: number;
  /** How many will never come, by reason; those set aside are among them. */
  readonly lost: Readonly<Record<string, number>>;
  /** Why the last call came to nothing; null where it didn't. */
  readonly lastFailure: string | null;
}

/** Who counts what, of one run. */
export interface Counted {
  readonly numbers: Pick<Numbers, "taken">;
  readonly backlog: Pick<Backlog, "ready" | "coming">;
  readonly losses: Pick<Losses, "counts">;
  readonly sender: Pick<Sender, "sent" | "setAside" | "lastFailure">;
}

const SET_ASIDE = "set_aside: ";

export const statsOf = ({ numbers, backlog, losses, sender }: Counted): ReporterStats => ({
  taken: numbers.taken,
  waiting: backlog.ready + backlog.coming,
  sent: sender.sent,
  setAside: sender.setAside,
  lost: Object.fromEntries(losses.counts),
  lastFailure: sender.lastFailure,
});

/** @param isStored whether what waits is there for the next run */
export function closeResultOf({ backlog, losses, sender }: Counted, isStored: boolean, isClosed: boolean): CloseResult {
  const left = backlog.ready + backlog.coming;
  let lost = isStored ? 0 : left;
  for (const [reason, count] of losses.counts) if (!reason.startsWith(SET_ASIDE)) lost += count;
  return { sent: sender.sent, setAside: sender.setAside, lost, kept: isStored ? left : 0, isClosed };
}
