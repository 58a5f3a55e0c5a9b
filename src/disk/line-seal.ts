import { createHmac } from "node:crypto";

/** What a line that verifies says. */
export interface SealedLine {
  readonly number: number;
  readonly payload: string;
}

/**
 * Gives each line of one spool file its number and its checksum, and tells lines that are this file's own.
 *
 * The checksum is keyed, and covers the file's run, the line's number and its payload: a line that was edited, given
 * another number or brought from elsewhere doesn't verify. Each verifies by itself, so that what is wrong with one takes
 * no other along.
 */
export class LineSeal {
  constructor(
    private readonly key: Buffer,
    /** The file's own, random. */
    private readonly run: string,
  ) {}

  /** @param payload a JSON object without line breaks; the line ends with one */
  write(number: number, payload: string): string {
    return `{"line":${String(number)},"checksum":"${this.#checksum(number, payload)}","attempt":${payload}}\n`;
  }

  /** Null for what isn't a line of this file. */
  read(text: string): SealedLine | null {
    const [, digits, checksum, payload] = form.exec(text) ?? [];
    if (digits === undefined || payload === undefined) return null;
    const number = Number(digits);
    return this.#checksum(number, payload) === checksum ? { number, payload } : null;
  }

  #checksum(number: number, payload: string): string {
    return createHmac("sha256", this.key)
      .update(`${this.run}\n${String(number)}\n`)
      .update(payload)
      .digest("hex");
  }
}

const form = /^\{"line":(\d{1,15}),"checksum":"([0-9a-f]{64})","attempt":(\{.*\})\}$/s;
