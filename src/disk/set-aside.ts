import { open, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ignoreMissing, syncFolder } from "./folder.js";
import { Turns } from "./turns.js";

const LINE_BREAK = 0x0a;

/**
 * Where lines are kept that can't go on their way, for people to look at. The file is theirs to move away.
 *
 * Lines are kept at least once: whoever keeps one forgets it only then, and does all of it again after a crash in between.
 * One that stands there twice says the same.
 */
export class SetAside<Reason extends string = string> {
  readonly file: string;
  /** What fails is cut off again: nothing else may have come behind it. */
  readonly #turns = new Turns();

  constructor(
    folder: string,
    private readonly maxBytes: number,
  ) {
    this.file = join(folder, "set-aside.jsonl");
  }

  /** Whether anything waits for somebody's look. */
  async isFilled(): Promise<boolean> {
    return (await this.#bytes()) > 0;
  }

  /**
   * Keeps the texts, on the disk once this resolves.
   *
   * @throws SetAsideFullError, or what the system says: they stay where they are
   */
  async keep(texts: readonly string[], why: Reason): Promise<void> {
    const setAsideAt = new Date().toISOString();
    const lines = texts.map((text) => `${JSON.stringify({ setAsideAt, why, text })}\n`).join("");
    await this.#turns.take(() => this.#append(lines));
  }

  async #append(lines: string): Promise<void> {
    const before = await this.#bytes();
    if (before + Buffer.byteLength(lines) > this.maxBytes) throw new SetAsideFullError(this.file);
    const handle = await open(this.file, "a+", 0o600);
    try {
      await handle.chmod(0o600);
      // A process that was killed has left half a line.
      await handle.writeFile((await isWhole(handle, before)) ? lines : `\n${lines}`);
      await handle.sync();
    } catch (error) {
      // Half of them would take what room a full disk has, again with each try.
      await handle.truncate(before).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
    if (before === 0) await syncFolder(dirname(this.file));
  }

  async #bytes(): Promise<number> {
    return (await stat(this.file).catch(ignoreMissing))?.size ?? 0;
  }
}

async function isWhole(handle: FileHandle, bytes: number): Promise<boolean> {
  if (bytes === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, bytes - 1);
  return buffer[0] === LINE_BREAK;
}

/** There is no room to set more aside: somebody has to look at the file and move it away. */
export class SetAsideFullError extends Error {
  override readonly name = "SetAsideFullError";

  constructor(file: string) {
    super(`${file} is as large as the spool may be: look at it and move it away.`);
  }
}
