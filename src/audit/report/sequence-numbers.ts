/** Sequence numbers that follow one another, both ends included. */
export type NumberRange = readonly [first: bigint, last: bigint];

/** The largest of 64 bits is none: how many there are has to be one more. */
export const LARGEST_NUMBER = 2n ** 63n - 2n;

const decimal = /^(?:0|[1-9]\d{0,18})$/;

/**
 * A sequence number of JSON's, a decimal text or an integer.
 *
 * @throws TypeError saying what is wrong, as the end of a sentence
 */
export function readNumber(value: unknown): bigint {
  const isText = typeof value === "string" && decimal.test(value);
  if (!isText && !(typeof value === "number" && Number.isSafeInteger(value)) && typeof value !== "bigint")
    throw new TypeError("isn't a whole number, beyond 2^53 as a text of decimal digits");
  const number = BigInt(value);
  if (number < 0n) throw new TypeError("is negative");
  if (number > LARGEST_NUMBER) throw new TypeError(`is larger than ${String(LARGEST_NUMBER)}`);
  return number;
}

/** The ranges that hold these numbers, and no others, in order. */
export function rangesOf(numbers: Iterable<bigint>): NumberRange[] {
  const sorted = [...numbers].sort((left, right) => (left < right ? -1 : left > right ? 1 : 0));
  const ranges: [bigint, bigint][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last && number <= last[1] + 1n) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

/** As PostgreSQL reads an int8multirange. */
export const multirangeText = (ranges: readonly NumberRange[]): string =>
  `{${ranges.map(([first, last]) => `[${String(first)},${String(last)}]`).join()}}`;
