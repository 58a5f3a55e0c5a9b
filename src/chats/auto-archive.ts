import { AuditError, auditedOperation, type BackgroundContext } from "../audit/index.js";
import type { FeatureJob, JobParts, JobReport } from "../feature.js";
import { chat } from "./chat.audit.js";
import { Chat } from "./chat.entity.js";
import { archiveRows } from "./archive-rows.js";
import { dueAmong, duePages, type DueChat } from "./due-chats.js";
import { descendants, MAX_CHATS, touchDescendants } from "./touch-descendants.js";

const subsystem = "chat_auto_archive";
/** How many chats one operation may name. */
const MAX_NAMED = 100;
const second = 1_000;
const hour = 3_600 * second;

/** Archives chats that nobody was active in for so long, with all below them; pinned ones never. */
export function autoArchive(after: number): FeatureJob {
  const interval = Math.min(hour, Math.max(second, after / 10));
  return { name: subsystem, interval, run: (parts) => archiveIdleChats(parts, after) };
}

async function archiveIdleChats(parts: JobParts, after: number): Promise<JobReport> {
  const total = { done: 0, failed: 0 };
  const cutoff = await cutoffOf(parts, after);
  for await (const page of duePages(parts, cutoff))
    for (const batch of batchesOf(page)) {
      if (parts.signal.aborted) return total;
      const { done, failed } = await archiveBatch(parts, batch, cutoff);
      total.done += done;
      total.failed += failed;
    }
  return total;
}

/** By the database's clock, which is what stamps activity, to the microsecond. */
async function cutoffOf({ client }: JobParts, after: number): Promise<string> {
  const sql = "select (clock_timestamp() - make_interval(secs => $1))::text as cutoff";
  const { rows } = await client.query<{ cutoff: string }>(sql, [after / second]);
  return rows[0]?.cutoff ?? "-infinity";
}

/** What one operation takes: of one tenant, and with all below no more than an operation may reach. */
function batchesOf(due: readonly DueChat[]): DueChat[][] {
  const batches: DueChat[][] = [];
  let reach = 0;
  for (const found of due) {
    const last = batches.at(-1);
    reach += 1 + found.below;
    if (last && last[0]?.tenantId === found.tenantId && last.length < MAX_NAMED && reach <= MAX_CHATS) last.push(found);
    else {
      batches.push([found]);
      reach = 1 + found.below;
    }
  }
  return batches;
}

/** Archives a batch, or what of it can be: one chat that is refused doesn't keep the others waiting for ever. */
async function archiveBatch(parts: JobParts, batch: readonly DueChat[], cutoff: string): Promise<JobReport> {
  const ids = batch.map(({ id }) => id);
  const tenantId = batch[0]?.tenantId ?? "";
  try {
    const { entryIds } = await auditedOperation(
      parts.runtime,
      // Chats that are gone or active by now are none of its business.
      { tenantId, resource: chat, action: "UPDATE", ids, actor: { type: "SYSTEM", subsystem }, unchanged: "skipped" },
      (context) => archiveDue(context, tenantId, cutoff),
    );
    return { done: entryIds.length, failed: 0 };
  } catch (error) {
    if (isEverybodys(error) || parts.signal.aborted) throw error;
    if (batch.length === 1) {
      parts.onError(error, ids);
      return { done: 0, failed: 1 };
    }
    const middle = Math.ceil(batch.length / 2);
    const first = await archiveBatch(parts, batch.slice(0, middle), cutoff);
    const second = await archiveBatch(parts, batch.slice(middle), cutoff);
    return { done: first.done + second.done, failed: first.failed + second.failed };
  }
}

/** Whether the next batch would meet the same. */
function isEverybodys(error: unknown): boolean {
  return error instanceof AuditError && ["UNAVAILABLE", "AUDIT_UNAVAILABLE", "TIMEOUT"].includes(error.code);
}

/** Once all are locked nobody can be active in them any more: only now is it certain which are due. */
async function archiveDue(context: BackgroundContext<Chat>, tenantId: string, cutoff: string): Promise<void> {
  const { manager, prior } = context;
  if (prior.length === 0) return;
  const named = prior.map(({ id }) => id);
  const locked = new Set([...named, ...(await touchDescendants(context, prior))]);
  const due = await dueAmong(manager, tenantId, named, cutoff);
  const below = await descendants(manager, tenantId, due);
  const reached = [...due, ...below.map(({ id }) => id)].filter((id) => locked.has(id));
  if (reached.length > 0) await archiveRows(manager, tenantId, reached);
}
