import { constants } from "node:os";

/** What a reporter does as its process ends. */
export interface ExitWork {
  /** Nothing else is left to do: the last chance to send. */
  finish(): Promise<unknown>;
  /** The process has been asked to end, and somebody else sees to that. */
  hasten(): Promise<unknown>;
  /** The process ends now. */
  keep(): void;
}

const works = new Set<ExitWork>();

/**
 * Has the work done at `beforeExit`, at SIGTERM and at the exit, until the answer is called.
 *
 * SIGTERM does what it would do without: where nobody else listens to it, the process ends by it, once the work is done;
 * a second one ends it at once.
 */
export function atExit(work: ExitWork): () => void {
  if (works.size === 0) listen();
  works.add(work);
  return () => {
    works.delete(work);
    if (works.size === 0) stopListening();
  };
}

function listen(): void {
  process.on("beforeExit", onBeforeExit);
  process.on("exit", onExit);
  // Before whoever listens once: they would be gone by the time they are looked for.
  process.prependOnceListener("SIGTERM", onSigterm);
}

function stopListening(): void {
  process.off("beforeExit", onBeforeExit);
  process.off("exit", onExit);
  process.off("SIGTERM", onSigterm);
}

function onBeforeExit(): void {
  for (const work of works) void work.finish();
}

function onExit(): void {
  for (const work of works) work.keep();
}

function onSigterm(): void {
  const isOthers = process.listenerCount("SIGTERM") > 0;
  // From PID 1, a container's first process, the kernel keeps a signal that it has no handler for.
  if (!isOthers && process.pid === 1) process.once("SIGTERM", endAsBySigterm);
  const ends = [...works].map((work) => (isOthers ? work.hasten() : work.finish()));
  if (!isOthers) void Promise.allSettled(ends).then(() => process.kill(process.pid, "SIGTERM"));
}

function endAsBySigterm(): void {
  if (process.listenerCount("SIGTERM") === 0) process.exit(128 + constants.signals.SIGTERM);
}
