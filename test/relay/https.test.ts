import { writeFileSync } from "node:fs";
import { describe, expect, onTestFinished } from "vitest";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { callOf, entriesFrom, numbersTo, post } from "../support/relay.js";
import { it } from "../support/relay-test.js";
import { startTlsEndpoint, trusting, trustingAnybody } from "../support/tls-endpoint.js";
import { until } from "../support/until.js";

describe("a relay to an API over HTTPS", () => {
  it("sends nothing to a server of an authority that it doesn't know, says why, and hands it on once it knows it", async ({
    place,
    receiver,
    start,
  }) => {
    writeFileSync(place.tokenFile, "canary-in-the-token\n");
    const endpoint = await startTlsEndpoint("server", receiver.url);
    onTestFinished(() => endpoint.close());
    let relay = await start([], endpoint.url, trustingAnybody);
    const sessionId = uuidV7();
    expect((await post(place.socket, callOf(sessionId, entriesFrom(0, 10)))).status).toBe(200);
    const reason = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
    await until(() => relay.stderr().includes("takes nothing"), { what: "it has tried to send them" });
    expect(relay.stderr()).toContain(`"reason":"${reason}"`);
    expect(await relay.metric(`audit_relay_upstream_failures_total{reason="${reason}"}`)).toBeGreaterThanOrEqual(1);
    expect(await (await fetch(`${relay.monitor()}/healthz`)).json()).toEqual({
      status: "degraded",
      detail: expect.stringMatching(/^The API has taken nothing since [\dTZ:.-]+: UNABLE_TO_VERIFY_LEAF_SIGNATURE\.$/),
    });
    expect(await relay.metric("audit_relay_spool_entries")).toBe(10);
    expect(endpoint.connections()).toBeGreaterThanOrEqual(1);
    expect([endpoint.octets(), receiver.calls]).toEqual([0, []]);
    expect(relay.stderr() + relay.stdout()).not.toContain("canary");
    await relay.end("SIGKILL");

    relay = await start([], endpoint.url, trusting);
    await until(() => receiver.numbers(sessionId).length === 10, { what: "they came", deadline: 10_000 });
    expect(receiver.numbers(sessionId)).toEqual(numbersTo(10));
    expect(new Set(receiver.calls.map(({ token }) => token))).toEqual(new Set(["canary-in-the-token"]));
    const handshakes = endpoint.handshakes();
    for (let first = 10; first < 40; first += 10) {
      await post(place.socket, callOf(sessionId, entriesFrom(first, 10)));
      await until(() => receiver.numbers(sessionId).length === first + 10, { what: "more came" });
    }
    expect(receiver.numbers(sessionId)).toEqual(numbersTo(40));
    expect(endpoint.handshakes()).toBe(handshakes);
    expect(await (await fetch(`${relay.monitor()}/healthz`)).json()).toEqual({ status: "ok", detail: null });
  });
});
