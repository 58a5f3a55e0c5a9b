import { isIP } from "node:net";

/** An IPv6 address's eight groups. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const groups = (part: string | undefined) => (part ? part.split(":").map((group) => parseInt(group, 16)) : []);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join(".");

/**
 * An address as entries keep it and filters compare it: as PostgreSQL's `inet` prints it, without a zone; an IPv4 address
 * mapped into IPv6 is that IPv4 address. Null for what is no address.
 */
export function normaliseAddress(address: string | undefined): string | null {
  const [plain = ""] = (address ?? "").split("%");
  const version = isIP(plain);
  if (version !== 6) return version === 4 ? plain : null;
  const groups = groupsOf(plain);
  const [high = 0, low = 0] = groups.slice(6);
  if (groups.slice(0, 5).every((group) => group === 0)) {
    if (groups[5] === 0xffff) return dotted(high, low);
    // The deprecated "compatible" form, which inet still prints dotted.
    if (groups[5] === 0 && high !== 0) return `::${dotted(high, low)}`;
  }
  return new URL(`http://[${plain}]/`).hostname.slice(1, -1);
}
