import { open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ignoreMissing, places, syncFolder } from "./folder.js";

/** Why a line can't become an entry. */
export type SetAsideReason =
  /** It isn't what this spool wrote: edited, given another number, cut off, or brought from elsewhere. */
  | "doesn't verify"
  /** The line stands there twice. */
  | "repeated"
  /** It verifies, but another version wrote it. */
  | "can't be read"
  /** The database refuses it for good; with PostgreSQL's code. */
  | `refused with ${string}`;

/** Where lines are kept that are no entries, for people to look at. The file is theirs to move away. */
export class SetAside {
  readonly file: string;

  constructor(
    folder: string,
    private readonly maxBytes: number,
  ) {
    this.file = join(folder, places.setAside);
  }

  /** Whether anything waits for somebody's look. */
  async isFilled(): Promise<boolean> {
    return (await this.#bytes()) > 0;
  }

  /** Keeps the texts, on the disk once this resolves. @throws where there is no room, so that they stay where they are */
  async keep(texts: readonly string[], why: SetAsideReason): Promise<void> {
    const setAsideAt = new Date().toISOString();
    const lines = texts.map((text) => `${JSON.stringify({ setAsideAt, why, text })}\n`).join("");
    const before = await this.#bytes();
    if (before + Buffer.byteLength(lines) > this.maxBytes) throw new SetAsideFullError(this.file);
    const handle = await open(this.file, "a", 0o600);
    try {
      await handle.chmod(0o600);
      await handle.writeFile(lines);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (before === 0) await syncFolder(dirname(this.file));
  }

  async #bytes(): Promise<number> {
    return (await stat(this.file).catch(ignoreMissing))?.size ?? 0;
  }
}

class SetAsideFullError extends Error {
  override readonly name = "SetAsideFullError";
  constructor(file: string) {
    super(`${file} is as large as the spool may be: look at it and move it away.`);
  }
}
