import { afterEach, beforeEach, expect, it } from "vitest";
import { createRelayLog } from "../../src/relay/log.js";
import { RelayMetrics } from "../../src/relay/metrics.js";
import { OwnSession } from "../../src/relay/own-session.js";
import { Upstream } from "../../src/relay/upstream.js";
import { startReceiver, type Receiver } from "../support/receiver.js";
import { makePlace, source, type RelayPlace } from "../support/relay.js";
import { until } from "../support/until.js";

let place: RelayPlace;
let receiver: Receiver;
let upstream: Upstream;
const metrics = new RelayMetrics();

beforeEach(async () => {
  place = makePlace();
  receiver = await startReceiver();
  upstream = new Upstream(new URL(receiver.url), place.tokenFile, 5_000, 1, metrics);
});

afterEach(async () => {
  upstream.close();
  await receiver.stop();
  place.remove();
});

it("has told of what is dropped only by a call that has begun behind it", async () => {
  const own = new OwnSession(upstream, source, metrics, createRelayLog());
  let answer = (): void => undefined;
  receiver.mode = () => new Promise((resolve) => (answer = () => resolve(undefined)));
  const before = own.tell();
  await until(() => receiver.calls.length === 1, { what: "a call is under way" });
  own.drop("set_aside: FORBIDDEN", 2);
  const isTold = own.hasToldAll();
  receiver.mode = "take";
  answer();
  expect((await before).kind).toBe("judged");
  expect(await isTold).toBe(true);
  const dropped = [{ reason: "set_aside: FORBIDDEN", sequenceNumbers: [["0", "1"]] }];
  expect(receiver.said(own.sessionId)).toEqual([
    { dropped: [], taken: "0", close: false },
    { dropped, taken: "2", close: false },
  ]);
});
