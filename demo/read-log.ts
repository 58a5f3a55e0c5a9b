import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Caller } from "./callers.js";
import type { Client } from "./client.js";
import { entry, type Entry } from "./entry.js";
import { DemoFailure } from "./failure.js";

const query = `query ($traceId: String!) {
  auditLogs(filter: { traceId: [$traceId] }, first: 200, order: OLDEST_FIRST) {
    nodes {
      id occurredAt actor { id name onBehalfOf } eventType outcome error { code }
      resource { type id label } changes { field op old new secret } attempted { field value secret } description
    }
  }
}`;

const page = z.object({ auditLogs: z.object({ nodes: z.array(entry) }) });

/** How long a replica may need to show what the primary has committed. */
const deadline = 10_000;
const interval = 200;

/**
 * The entries that the client's calls left, oldest first, as the auditor sees them.
 *
 * @throws DemoFailure where there aren't `count` of them after ten seconds, or the log can't be read
 */
export async function readLog(client: Client, auditor: Caller, count: number): Promise<Entry[]> {
  const end = performance.now() + deadline;
  for (;;) {
    const entries = await readOnce(client, auditor);
    if (entries.length === count) return entries;
    if (entries.length > count || performance.now() > end)
      throw new DemoFailure(
        `The log should show ${count} entries of these calls, and shows ${entries.length}: is the auditor of the same tenant?`,
      );
    await delay(interval);
  }
}

async function readOnce(client: Client, auditor: Caller): Promise<Entry[]> {
  const { data, errors } = await client.send(auditor, query, { traceId: client.traceId });
  const parsed = page.safeParse(data);
  // A second look finds the first one's own entry.
  if (parsed.success) return parsed.data.auditLogs.nodes.filter(({ resource }) => resource?.type !== "audit_log");
  const told = errors.map(({ message }) => message).join("; ") || z.prettifyError(parsed.error);
  throw new DemoFailure(`The log can't be read as the auditor: ${told}`);
}
