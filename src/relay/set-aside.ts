import { SetAsideFullError, type SetAside } from "../disk/set-aside.js";
import type { RelayLog } from "./log.js";

/** What the API refused for good, with the reason that it gave. */
export interface SetAsideEntry {
  readonly sessionId: string;
  readonly code: string;
  readonly message: string;
  readonly entry?: unknown;
  /** What a session said of itself, beside its entries. */
  readonly said?: unknown;
}

/** Keeps such entries in the spool's folder, for people to look at: `set-aside.jsonl`, 0600. */
export class SetAsideEntries {
  constructor(
    private readonly file: SetAside,
    private readonly log: RelayLog,
  ) {}

  /**
   * Keeps them, on the disk once this resolves. Where the file is as large as it may be they aren't kept: they are counted
   * and reported all the same, and hold up nothing.
   *
   * @throws what the system says, such as ENOSPC
   */
  async keep(entries: readonly SetAsideEntry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.file.keep(
        entries.map((entry) => JSON.stringify(entry)),
        "refused by the API",
      );
    } catch (error) {
      if (!(error instanceof SetAsideFullError)) throw error;
      this.log.error(
        { file: this.file.file, entries: entries.length },
        "no room to set entries aside: move the file away",
      );
    }
  }
}
