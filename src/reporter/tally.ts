import type { Backlog } from "./backlog.js";
import type { Losses } from "./losses.js";
import type { Numbers } from "./numbers.js";
import type { Sender } from "./sender.js";

/**
 * What has become of all entries of a run. A relay answers once they are on its disk, before the API has judged them: of
 * entries that go through one, `sent` and `isClosed` say no more than that, and what the API refuses is among those sent.
 */
export interface CloseResult {
  /** Stand in the log; through a relay, on its disk. */
  readonly sent: number;
  /** Were refused for good, and reported as such; through a relay, by the relay itself. */
  readonly setAside: number;
  /** Will never come; without a spool, those too that the deadline has cut off. */
  readonly lost: number;
  /** Wait in the spool for the next run. */
  readonly kept: number;
  /** Whether the API, or the relay, has everything, and has been told that the session ends. */
  readonly isClosed: boolean;
}

/** What has become of entries so far; behind `close`, the same as that has said. */
export interface ReporterStats {
  /** How many numbers have been taken. */
  readonly taken: bigint;
  /** How many are still to be sent; behind `close`, how many the spool keeps for the next run. */
  readonly waiting: number;
  /** Stand in the log; through a relay, on its disk. */
  readonly sent: number;
  /** Were refused for good; through a relay, by the relay itself. */
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

/** Once nothing waits any more but what a spool keeps. */
export function closeResultOf({ backlog, losses, sender }: Counted, isClosed: boolean): CloseResult {
  let lost = 0;
  for (const [reason, count] of losses.counts) if (!reason.startsWith(SET_ASIDE)) lost += count;
  return { sent: sender.sent, setAside: sender.setAside, lost, kept: backlog.ready + backlog.coming, isClosed };
}
