import type { AuditObserver } from "./observer.js";

/** What waits for the commit, such as a message to others. */
export type AfterCommit = () => void | Promise<void>;

/** Runs it. The change stands whatever becomes of it, so its errors are told to the server's log alone. */
export async function runAfterCommit(
  observer: AuditObserver,
  name: string,
  waiting: readonly AfterCommit[],
): Promise<void> {
  for (const work of waiting)
    try {
      await work();
    } catch (error) {
      observer.unforeseen(error, `${name}, after the commit`);
    }
}
