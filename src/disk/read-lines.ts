import { isUtf8 } from "node:buffer";
import type { FileHandle } from "node:fs/promises";

/** A piece of a file between two line breaks, with its place in octets. */
export interface FoundText {
  /** Of what isn't UTF-8: its octets after `base64:`. */
  readonly text: string;
  readonly offset: number;
  readonly length: number;
}

/** What octets say, as `FoundText` has it. */
export function textOf(octets: Buffer): string {
  return isUtf8(octets) ? octets.toString("utf8") : `base64:${octets.toString("base64")}`;
}

const CHUNK_BYTES = 256 * 1024;
/** Longer than any line of ours; what is longer comes in pieces. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;
const LINE_BREAK = 0x0a;

/** Every line of the file that isn't empty, in order; at most one line is held in memory at a time. */
export async function* readLines(file: FileHandle): AsyncGenerator<FoundText> {
  let held: Buffer[] = [];
  let begin = 0;
  let heldBytes = 0;
  const take = (): FoundText[] => {
    const octets = Buffer.concat(held);
    const found = octets.length > 0 ? [{ text: textOf(octets), offset: begin, length: octets.length }] : [];
    [held, heldBytes] = [[], 0];
    return found;
  };
  for (let offset = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, offset);
    if (bytesRead === 0) break;
    const octets = buffer.subarray(0, bytesRead);
    let at = 0;
    for (let end = octets.indexOf(LINE_BREAK); end >= 0; end = octets.indexOf(LINE_BREAK, at)) {
      held.push(octets.subarray(at, end));
      yield* take();
      // What a file is filled with: megabytes of nothing but line breaks.
      for (at = end + 1; octets[at] === LINE_BREAK;) at++;
      begin = offset + at;
    }
    held.push(octets.subarray(at));
    heldBytes += bytesRead - at;
    offset += bytesRead;
    if (heldBytes > MAX_LINE_BYTES) {
      yield* take();
      begin = offset;
    }
  }
  yield* take();
}
