import { within } from "../within.js";
import type { Loss } from "./losses.js";
import type { ReporterSettings } from "./options.js";
import type { StoredBacklog } from "./stored-backlog.js";
import type { StoredSession } from "./stored-session.js";

/** This run's part of a session that outlives the process, and how it ends on the disk. */
export class StoredRun {
  /**
   * @param late what has come behind the reporter's end
   * @param notify told of what the disk refuses: the end goes on all the same
   */
  constructor(
    private readonly session: StoredSession,
    private readonly backlog: StoredBacklog,
    private readonly late: () => readonly Loss[],
    private readonly notify: ReporterSettings["notify"],
  ) {}

  /**
   * Gives the folder back: without a session where the API knows that it has ended, else with all that waits for the next
   * run. What is given to the disk already is waited for so many milliseconds; what isn't there by then is put there at once.
   */
  async end(isClosed: boolean, deadline: number): Promise<void> {
    const { spool } = this.session;
    try {
      await this.#leave(isClosed, deadline).finally(() => spool.close());
    } catch (cause) {
      this.notify({ kind: "spool", message: `The spool in ${spool.folder} can't be closed.`, cause });
    }
  }

  async #leave(isClosed: boolean, deadline: number): Promise<void> {
    const { file, numbers } = this.session;
    if (isClosed) {
      this.backlog.end();
      numbers.end();
      await file.remove();
    } else {
      await within(deadline, this.backlog.written());
      this.keepNow();
      await file.close();
    }
  }

  /** Puts on the disk, without giving anything else a turn, what isn't there yet; nothing more is taken. */
  keepNow(): void {
    try {
      this.backlog.endNow(this.late());
      this.session.numbers.end();
    } catch (cause) {
      this.notify({ kind: "spool", message: "The last entries can't be written to the spool.", cause });
    }
  }
}
