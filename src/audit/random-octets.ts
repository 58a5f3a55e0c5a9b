import { randomFillSync } from "node:crypto";

const POOL_OCTETS = 16 * 1024;
const pool = Buffer.allocUnsafe(POOL_OCTETS);
let used = POOL_OCTETS;

/** Random octets of one's own, from a pool: asking the generator costs more than what it gives. No octet is given twice. */
export function randomOctets(length: number): Buffer {
  if (length > POOL_OCTETS) return randomFillSync(Buffer.allocUnsafe(length));
  if (used + length > POOL_OCTETS) {
    randomFillSync(pool);
    used = 0;
  }
  const octets = Buffer.from(pool.subarray(used, used + length));
  used += length;
  return octets;
}
