import pg from "pg";
import type { ScratchCluster } from "../../scratch/cluster.js";
import { rowsOf, run, withClient } from "../../scratch/sql.js";
import { selfCheck } from "../../src/audit/self-check.js";
import type { Judgement } from "../outcome.js";
import type { Attacker } from "./attackers.js";
import type { Attack } from "./list.js";
import { added, alterations, logState, type LogState } from "./state.js";

const DEADLINES = "set statement_timeout = '20s'; set lock_timeout = '5s'";

/**
 * Tries an attack in a transaction that is rolled back; where nothing refuses it, again for good, in a copy of the
 * database, and looks what became of the log there.
 */
export async function tryOut(
  cluster: ScratchCluster,
  attacker: Attacker,
  attack: Attack,
  before: LogState,
  copy: string,
): Promise<Judgement> {
  const base = attacker.base.database;
  const refusal = await attempt(attacker.url(base.name), attacker, attack, "rollback");
  const harm = alterations(before, await logState(base.adminUrl));
  if (harm.length > 0) return { outcome: "LOST", how: `rolled back, and yet ${harm.join(", ")}` };
  if (refusal !== null) return { outcome: "refused", how: refusal };
  const { adminUrl, apiUrl } = await cluster.database(copy, base.name);
  try {
    const late = await attempt(attacker.url(copy), attacker, attack, "commit");
    return await judge({ attacker, before, late, adminUrl, apiUrl });
  } finally {
    if (attack.undo !== undefined) await run(cluster.adminUrl, attack.undo);
    await run(cluster.adminUrl, `drop database ${copy} with (force)`);
  }
}

async function attempt(
  url: string,
  { prelude }: Attacker,
  { statements }: Attack,
  end: "commit" | "rollback",
): Promise<string | null> {
  return withClient(url, async (client) => {
    await client.query(DEADLINES);
    await client.query("begin");
    try {
      if (prelude !== null) await client.query(prelude);
      for (const statement of statements) await client.query(statement);
      await client.query(end);
      return null;
    } catch (error) {
      await client.query("rollback").catch(() => undefined);
      if (error instanceof pg.DatabaseError) return error.code ?? error.message;
      throw error;
    }
  });
}

interface Done {
  readonly attacker: Attacker;
  readonly before: LogState;
  /** What refused the attempt after all, at its commit. */
  readonly late: string | null;
  readonly adminUrl: string;
  readonly apiUrl: string;
}

async function judge({ attacker, before, late, adminUrl, apiUrl }: Done): Promise<Judgement> {
  const now = await logState(adminUrl);
  const harm = alterations(before, now);
  const fresh = added(before, now);
  if (harm.length === 0 && late !== null) return { outcome: "refused", how: late };
  if (harm.length === 0 && fresh.length === 0) return { outcome: "refused", how: "without effect" };
  if (harm.length === 0) {
    const untrue = await untrueStamps(adminUrl, fresh, new URL(attacker.url("any")).username);
    if (untrue === 0) return { outcome: "recorded", how: "an entry of now, with the writer's login" };
    const how = "a new entry that says another time, transaction or login than was";
    return { outcome: attacker.isAdministrator ? "detectable by comparison" : "LOST", how };
  }
  if (!attacker.isAdministrator) return { outcome: "LOST", how: harm.join(", ") };
  const found = await withClient(apiUrl, selfCheck).catch(() => ["the log can't be looked at"]);
  return {
    outcome: "detectable by comparison",
    how: found.length > 0 ? `${harm.join(", ")}; the next start refuses` : harm.join(", "),
  };
}

/** How many of the entries say another time than that of their making, or another login than wrote them. */
async function untrueStamps(adminUrl: string, ids: readonly string[], login: string): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(
    adminUrl,
    `select count(*)::int as count from audit.entry
     where id = any ($1) and not (
       occurred_at between clock_timestamp() - interval '1 minute' and clock_timestamp()
       and audit.id_time(id) = occurred_at and database_user = $2 and pg_xact_status(xact_id) = 'committed'
     )`,
    [ids, login],
  );
  return row?.count ?? 0;
}
