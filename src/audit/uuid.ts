import { randomOctets } from "./random-octets.js";

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The UUID that says nobody: no id of ours, and refused by the log. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/** Whether a text has the form that PostgreSQL prints, in either case. */
export const isUuid = (text: string): boolean => form.test(text);

/**
 * A new UUID of version 7 (RFC 9562): this process's clock in milliseconds, the rest by chance.
 *
 * No two are equal. Their order means nothing: clocks are set back, and two machines' never agree.
 */
export function newUuid(): string {
  const octets = randomOctets(16);
  octets.writeUIntBE(Date.now(), 0, 6);
  octets.writeUInt8(0x70 | (octets.readUInt8(6) & 0x0f), 6);
  octets.writeUInt8(0x80 | (octets.readUInt8(8) & 0x3f), 8);
  return octets.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
