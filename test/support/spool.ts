import type { TestServer } from "./server.js";
import { until } from "./until.js";

/** A metric of the server's, by its name and labels. */
export async function metricOf(server: TestServer, name: string): Promise<number> {
  const text = await (await server.fetch("/metrics")).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`There is no metric ${name}.`);
  return Number(line.slice(name.length + 1));
}

/** Waits until the log has all that waited for it. */
export async function untilNothingWaits(server: TestServer): Promise<void> {
  const what = "nothing waits in the spool";
  await until(async () => (await metricOf(server, "audit_spool_entries")) === 0, { what, deadline: 20_000 });
}
