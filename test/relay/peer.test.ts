import { describe, expect, it } from "vitest";
import { HeldBytes, Peer } from "../../src/relay/peer.js";

/** How many requests in a row are within the limits, each answered before the next. */
function taken(peer: Peer, most = 10_000): number {
  let count = 0;
  while (count < most && peer.begin()) {
    peer.end();
    count += 1;
  }
  return count;
}

describe("a peer", () => {
  it("may make 2,000 requests at once, and then one a millisecond", () => {
    let now = 5_000;
    const peer = new Peer(() => now);
    expect(taken(peer)).toBe(2_000);
    now += 0.5;
    expect(taken(peer)).toBe(0);
    now += 0.5;
    expect(taken(peer)).toBe(1);
    now += 250;
    expect(taken(peer)).toBe(250);
  });

  it("saves up no more than 2,000 requests", () => {
    let now = 0;
    const peer = new Peer(() => now);
    now += 3_600_000;
    expect(taken(peer)).toBe(2_000);
  });

  it("may go on at 1,000 requests a second for ever", () => {
    let now = 0;
    const peer = new Peer(() => now);
    expect(taken(peer)).toBe(2_000);
    for (let second = 1; second <= 60; second++) {
      now = second * 1_000;
      expect(taken(peer, 1_000)).toBe(1_000);
    }
    expect(peer.begin()).toBe(false);
  });

  it("may wait for eight answers, and pays nothing for what is refused", () => {
    const peer = new Peer(() => 0);
    for (let request = 0; request < 8; request++) expect(peer.begin()).toBe(true);
    const more = Array.from({ length: 5_000 }, () => peer.begin());
    expect(more.filter((isTaken) => isTaken)).toEqual([]);
    peer.end();
    expect(taken(peer)).toBe(2_000 - 8);
  });
});

describe("the bodies of all peers", () => {
  it("hold 32 MiB together, to the octet", () => {
    const held = new HeldBytes();
    for (let part = 0; part < 31; part++) expect(held.take(1024 * 1024)).toBe(true);
    expect(held.take(1024 * 1024 + 1)).toBe(false);
    expect(held.bytes).toBe(31 * 1024 * 1024);
    expect(held.take(1024 * 1024)).toBe(true);
    expect(held.take(1)).toBe(false);
    held.giveBack(1);
    expect(held.take(1)).toBe(true);
    expect(held.bytes).toBe(32 * 1024 * 1024);
  });
});
