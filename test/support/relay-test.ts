import { test } from "vitest";
import { startReceiver, type Receiver } from "./receiver.js";
import { makePlace, startRelay, type RelayPlace, type RunningCommand } from "./relay.js";

interface RelayFixtures {
  readonly place: RelayPlace;
  /** Stands in for the API. */
  readonly receiver: Receiver;
  /** Runs a relay at the place, to the receiver unless another URL is given, until it is ready. */
  readonly start: (
    more?: readonly string[],
    to?: string,
    env?: NodeJS.ProcessEnv,
    stderr?: number,
  ) => Promise<RunningCommand>;
}

/** A test of a relay. What it asks for is made for it alone, and ends with it, killed relays first. */
export const it = test.extend<RelayFixtures>({
  place: async ({}, use) => {
    const place = makePlace();
    await use(place);
    place.remove();
  },
  receiver: async ({}, use) => {
    const receiver = await startReceiver();
    await use(receiver);
    await receiver.stop();
  },
  start: async ({ place, receiver }, use) => {
    const started: RunningCommand[] = [];
    await use(async (more = [], to = receiver.url, env = {}, stderr) => {
      const relay = await startRelay(place, to, more, env, stderr);
      started.push(relay);
      return relay;
    });
    await Promise.all(started.map((relay) => relay.end("SIGKILL")));
  },
});
