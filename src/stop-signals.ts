import { constants } from "node:os";

/** What a process does at the signals that ask it to stop. */
export interface StopWork {
  /** When it began to stop, as `performance.now()` has it; null while it serves. */
  readonly since: () => number | null;
  readonly stop: (signal: NodeJS.Signals) => void;
  /** A further signal has come amid the stop. @param exitCode as shells say what a process died of */
  readonly endAtOnce: (signal: NodeJS.Signals, exitCode: number) => void;
}

const signals = ["SIGHUP", "SIGINT", "SIGTERM"] as const;
/** A terminal sends SIGINT to npm and to us, and npm hands it on: that is one wish, not two. */
const sameWish = 200;

/** Stops at the first signal and ends at once at a further one, for as long as the process lives. */
export function listenToStopSignals({ since, stop, endAtOnce }: StopWork): void {
  for (const signal of signals)
    process.on(signal, () => {
      const begun = since();
      if (begun === null) stop(signal);
      else if (signal !== "SIGINT" || performance.now() - begun > sameWish)
        endAtOnce(signal, 128 + constants.signals[signal]);
    });
}
