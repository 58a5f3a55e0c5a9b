import { chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Halt } from "../scratch/cluster.js";
import { rowsOf, run as runSql } from "../scratch/sql.js";
import { table } from "../scratch/table.js";
import { Api } from "../scratch/api.js";
import type { Attempt } from "./attempt.js";
import type { Drill, DrillGround, DrillReport } from "./drill.js";
import { CLIENTS, prepareLoad, quiet, type LoadGround } from "./load.js";
import { evidenceOf, judge } from "./reconcile.js";
import { judgeOrder } from "./reconcile/order.js";
import { judgeSessions } from "./reconcile/sessions.js";
import { reconciled, reportOf } from "./report.js";
import { groupBy } from "./values.js";

type Fault = Halt | "read-only";

const faults: Readonly<Record<Fault, string>> = {
  fast: "stopped (fast shutdown)",
  immediate: "stopped at once (immediate shutdown)",
  killed: "its first process killed (kill -9)",
  "read-only": "restarted as a standby, which only reads, then promoted",
};
const RECOVERY_DEADLINE = 40_000;
/** Without anything that moves. */
const READY_DEADLINE = 30_000;

export const outage: Drill = {
  name: "outage",
  about: "the database stopped, killed and made read-only under load, again and again; the API is left to itself",
  run,
};

/** How one fault went. */
interface Round {
  readonly fault: Fault;
  /** Milliseconds from the database's return to the first change that succeeded. */
  readonly recovery: number | null;
}

async function run(ground: DrillGround): Promise<DrillReport> {
  const count = ground.kills ?? (ground.quick ? 4 : 20);
  const load = await prepareLoad(ground);
  const api = await Api.start(load.settings);
  ground.cleanup.add(() => api.kill());
  load.writers.start();
  ground.cleanup.add(() => load.writers.stop());
  load.writers.aim({ origin: api.origin, run: 0 });
  const rounds: Round[] = [];
  for (let number = 0; number < count && api.collapse === null; number++)
    rounds.push(await breakOnce(ground, load, number));
  await load.writers.stop();
  ground.progress("waiting until the API says that it is ready");
  const notReady = api.collapse ?? (await untilReady(api, load));
  const exitCode = await api.stop();
  ground.progress("reconciling rows, entries and answers");
  await quiet(load);
  return reportOn(load, rounds, notReady, exitCode);
}

async function breakOnce(ground: DrillGround, load: LoadGround, number: number): Promise<Round> {
  const { cluster, random } = load;
  const fault = (Object.keys(faults) as Fault[])[number % Object.keys(faults).length] ?? "fast";
  ground.progress(`outage ${String(number + 1)}: ${faults[fault]}`);
  await succeeds(load);
  await delay(random.between(50, 500));
  await cluster.halt(fault === "read-only" ? "fast" : fault);
  await delay(random.between(200, 800));
  if (fault === "read-only") await demote(cluster.dataFolder);
  await cluster.resume();
  if (fault === "read-only") {
    await delay(random.between(200, 800));
    await runSql(cluster.adminUrl, "select pg_promote()");
  }
  return { fault, recovery: await succeeds(load) };
}

/** Waits for a change that begins from now on to succeed, and says how long that took; null where none does. */
async function succeeds({ writers }: LoadGround): Promise<number | null> {
  const begun = performance.now();
  const already = writers.attempts.length;
  for (;;) {
    // Up to so many were under way when this began.
    if (writers.attempts.slice(already + CLIENTS).some(({ told }) => told?.errors.length === 0))
      return performance.now() - begun;
    if (performance.now() - begun > RECOVERY_DEADLINE) return null;
    await delay(10);
  }
}

/** Has the server come up as a standby of nobody's: it only reads until it is promoted. */
async function demote(dataFolder: string): Promise<void> {
  const file = join(dataFolder, "standby.signal");
  await writeFile(file, "");
  const { uid, gid } = await stat(dataFolder);
  await chown(file, uid, gid);
}

/** What `/readyz` says in the end where that isn't `ready`; while entries still come, there is no end. */
async function untilReady({ origin }: Api, { database }: LoadGround): Promise<string | null> {
  let last = { entries: 0, at: performance.now() };
  for (;;) {
    const said = await fetch(`${origin}/readyz`).then((response) => response.text());
    if ((JSON.parse(said) as { status?: unknown }).status === "ready") return null;
    const entries = await writtenLater(database.adminUrl);
    if (entries > last.entries) last = { entries, at: performance.now() };
    if (performance.now() - last.at > READY_DEADLINE) return said;
    await delay(200);
  }
}

/** How many entries were written later than what they tell of. */
async function writtenLater(adminUrl: string): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(
    adminUrl,
    `select count(*)::int as count from audit.entry where claimed_at is not null`,
  );
  return row?.count ?? 0;
}

async function reportOn(
  { database: { adminUrl }, writers: { attempts } }: LoadGround,
  rounds: readonly Round[],
  notReady: string | null,
  exitCode: number | null,
): Promise<DrillReport> {
  const evidence = await evidenceOf(adminUrl, attempts);
  const found = judge(evidence);
  const { counts } = found;
  const later = await writtenLater(adminUrl);
  const misjudged = await judgeSessions(adminUrl);
  const stuck = rounds.filter(({ recovery }) => recovery === null);
  const { text, losses } = reportOf(
    [
      ["clients that write all the time", CLIENTS],
      ["operations sent", counts.attempts],
      ["answered", counts.answered],
      ...errorsByCode(attempts),
      ["unanswered", counts.unanswered],
      ["entries", counts.entries],
      ["… of which written after the database's return", later],
      ["transactions that changed rows", counts.transactions],
      ["resources whose history was followed", counts.resources],
      ["numbers that sessions lack, of unanswered operations", counts.missingNumbers],
    ],
    [
      ...reconciled(found),
      ["sessions that are listed otherwise", misjudged],
      ["operations out of their order", judgeOrder(evidence)],
      ["outages that the API didn't recover from", stuck.map(({ fault }) => `after it was ${faults[fault]}`)],
      ["a last word other than ready", notReady === null ? [] : [notReady]],
      ["SIGTERM that didn't end it with 0", exitCode === 0 ? [] : [`it ended with ${String(exitCode)}`]],
    ],
  );
  return { text: `${roundsTable(rounds)}\n\n${text}`, losses };
}

function errorsByCode(attempts: readonly Attempt[]): [string, number][] {
  const codes = attempts.flatMap(({ told }) => told?.errors[0]?.extensions?.code ?? []);
  return [...groupBy(codes, (code) => code)].map(([code, its]) => [`… of which ${code}`, its.length]);
}

function roundsTable(rounds: readonly Round[]): string {
  const rows = (Object.keys(faults) as Fault[]).map((fault) => {
    const its = rounds.filter((round) => round.fault === fault);
    const longest = Math.max(0, ...its.map(({ recovery }) => recovery ?? Infinity));
    return [`the database ${faults[fault]}`, String(its.length), `${(longest / 1000).toFixed(2)} s`];
  });
  return table(["what was tried", "times", "longest until a change succeeded again"], rows);
}
