import { describe, expect, it } from "vitest";
import { normaliseAddress } from "../../src/audit/address.js";

describe("normaliseAddress", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:7f00:1", "127.0.0.1"],
    ["fe80::1%eth0", "fe80::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::", "::"],
    ["::1", "::1"],
    ["::1.2.3.4", "::1.2.3.4"],
    ["::1:2", "::0.1.0.2"],
    ["::5:192.0.2.1", "::5:c000:201"],
  ])("%s as inet prints it", (address, printed) => {
    expect(normaliseAddress(address)).toBe(printed);
  });

  it.each([undefined, "", "unknown", "1.2.3", "1.2.3.4:80", "01.2.3.4", "[::1]", "1.2.3.4/8", "::1\0", "::g"])(
    "takes nothing else for an address: %j",
    (address) => {
      expect(normaliseAddress(address)).toBeNull();
    },
  );
});
