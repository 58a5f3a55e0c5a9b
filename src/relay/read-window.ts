import { Fifo } from "../reporter/fifo.js";

interface WaitingLine {
  readonly line: number;
  readonly bytes: number;
}

interface HeldLine {
  readonly sessionId: string;
  readonly bytes: number;
}

/** So many octets of batches are held at a time; the rest waits on the disk. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** One session's part of them, and a line more: two calls' worth, so that the next one waits for no disk. */
const SESSION_BYTES = 2 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/**
 * Which of the spool's lines are held in memory, and which are read next: sessions take turns, a line each, and one that
 * holds its part is passed over. So who has much waiting holds up nobody who has little.
 */
export class ReadWindow {
  /** Lines that aren't read yet, each session's in their order; sessions in the order of their turns. */
  readonly #waiting = new Map<string, Fifo<WaitingLine>>();
  readonly #held = new Map<number, HeldLine>();
  readonly #heldOf = new Map<string, number>();
  #bytes = 0;

  get isHalfFull(): boolean {
    return this.#bytes >= WINDOW_BYTES / 2;
  }

  /** A line has come to wait, behind all others of its session. */
  add(sessionId: string, line: number, bytes: number): void {
    const lines = this.#waiting.get(sessionId) ?? new Fifo<WaitingLine>();
    lines.push({ line, bytes });
    this.#waiting.set(sessionId, lines);
  }

  /** The lines to be read now, in the order in which they came; they are held from now on. None where there is no room. */
  take(): number[] {
    const taken: number[] = [];
    if (this.#bytes >= WINDOW_BYTES) return taken;
    let bytes = 0;
    // Who has had a turn and still waits is met again at the end.
    for (const [sessionId, lines] of this.#waiting) {
      const [next] = lines.first(1);
      if (!next || (this.#heldOf.get(sessionId) ?? 0) >= SESSION_BYTES) continue;
      bytes += next.bytes;
      if (taken.length > 0 && bytes > READ_BYTES) break;
      lines.removeFirst(1);
      this.#waiting.delete(sessionId);
      if (lines.length > 0) this.#waiting.set(sessionId, lines);
      this.#hold(next.line, { sessionId, bytes: next.bytes });
      taken.push(next.line);
    }
    return taken.sort((left, right) => left - right);
  }

  /** These are held no more. */
  release(lines: readonly number[]): void {
    for (const line of lines) {
      const held = this.#held.get(line);
      if (!held) continue;
      this.#held.delete(line);
      this.#count(held.sessionId, -held.bytes);
    }
  }

  #hold(line: number, held: HeldLine): void {
    this.#held.set(line, held);
    this.#count(held.sessionId, held.bytes);
  }

  #count(sessionId: string, bytes: number): void {
    const held = (this.#heldOf.get(sessionId) ?? 0) + bytes;
    if (held > 0) this.#heldOf.set(sessionId, held);
    else this.#heldOf.delete(sessionId);
    this.#bytes += bytes;
  }
}
