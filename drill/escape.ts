import pg from "pg";
import { ScratchCluster, type ScratchDatabase } from "../scratch/cluster.js";
import { rowsOf, run as runSql, withClient } from "../scratch/sql.js";
import { table } from "../scratch/table.js";
import { Api } from "../scratch/api.js";
import { alterations, logState, type LogState } from "./attack/state.js";
import { deploy, type Deployment } from "../scratch/deployment.js";
import { leaveEntries } from "./leave-entries.js";
import type { Drill, DrillGround, DrillReport } from "./drill.js";
import { breaches } from "./escape/breaches.js";
import { entryTricks } from "./escape/entries.js";
import type { Escaper, Line } from "./escape/line.js";
import { plainSql } from "./escape/plain-sql.js";
import { programs } from "./escape/programs.js";
import { sessionTricks } from "./escape/settings.js";
import type { LoggedEntry } from "./log.js";
import { outcomes, type Judgement } from "./outcome.js";
import { evidenceOf, judge, type Evidence } from "./reconcile.js";
import { canonical, groupBy } from "./values.js";
import { installWitness } from "./witness.js";

export const escape: Drill = {
  name: "escape",
  about: "rows changed by whatever isn't the API: each line is refused or recorded, and nothing is silent",
  run,
};

const lines: readonly Line[] = [...plainSql, ...programs, ...entryTricks, ...sessionTricks, ...breaches];
/** A short run leaves out all but each so-manieth. */
const QUICK_STEP = 5;

interface Tried extends Judgement {
  readonly what: string;
  readonly who: string;
}

/** Who connects where: databases of both kinds of deployment, each with what stood in it before. */
interface Ground {
  readonly cluster: ScratchCluster;
  readonly plain: Base;
  readonly guarded: Base;
  readonly second: { readonly user: string; readonly password: string };
}

interface Base {
  readonly deployment: Deployment;
  readonly evidence: Evidence;
  readonly log: LogState;
  readonly device: string;
  readonly group: string;
}

async function run(drillGround: DrillGround): Promise<DrillReport> {
  drillGround.progress("starting a PostgreSQL of its own, and the API on it");
  const cluster = await ScratchCluster.start({ purpose: "drill", settings: { max_prepared_transactions: "10" } });
  drillGround.cleanup.add(() => cluster.remove());
  const plain = await prepare(cluster, "plain", drillGround);
  const guarded = await prepare(cluster, "guarded", drillGround);
  const second = await cluster.login("second", "");
  for (const { deployment } of [plain, guarded])
    await runSql(
      deployment.database.adminUrl,
      `grant usage on schema app to ${second.user}`,
      `grant select, insert, update, delete, truncate on all tables in schema app to ${second.user}`,
    );
  const ground = { cluster, plain, guarded, second };
  const tried: Tried[] = [];
  const list = drillGround.quick ? lines.filter((_, place) => place % QUICK_STEP === 0) : lines;
  for (const line of list) {
    drillGround.progress(line.what);
    for (const who of line.by) {
      tried.push({ what: line.what, who, ...(await tryLine(ground, line, who, plain)) });
      if (who === "superuser" && line.isBreach)
        tried.push({
          what: line.what,
          who: `${who} (event triggers on)`,
          ...(await tryLine(ground, line, who, guarded)),
        });
    }
  }
  return report(tried);
}

/** Deployed by a login as the README has it, or by the superuser, who may make event triggers. */
async function prepare(cluster: ScratchCluster, name: "plain" | "guarded", { cleanup }: DrillGround): Promise<Base> {
  const deployment = await deploy(cluster, name, name === "plain" ? "migrating login" : "superuser");
  const { adminUrl } = deployment.database;
  await installWitness(adminUrl);
  const api = await Api.start(deployment.settings);
  cleanup.add(() => api.kill());
  const attempts = await leaveEntries(deployment, api);
  await api.stop();
  const evidence = await evidenceOf(adminUrl, attempts);
  const losses = Object.values(judge(evidence)).flatMap((found) => (Array.isArray(found) ? (found as string[]) : []));
  if (losses.length > 0) throw new Error(`Something is lost before anything was tried: ${losses.join("; ")}`);
  const log = await logState(adminUrl);
  const [ids] = await rowsOf<{ device: string; group: string }>(
    adminUrl,
    `select (select id from app.device where serial_number = 'SN-1') as device, (select id from app."group") as "group"`,
  );
  if (log === null || !ids) throw new Error("The log can't be read before anything was tried.");
  return { deployment, evidence, log, ...ids };
}

/** Tries a line in a copy of the database, and compares tables, witness and log of that with what stood before. */
async function tryLine(ground: Ground, line: Line, who: Escaper, base: Base): Promise<Judgement> {
  const { cluster } = ground;
  const copy = await cluster.database("copy", base.deployment.database.name);
  try {
    if (line.setup) await runSql(copy.adminUrl, ...line.setup);
    const url = urlOf(ground, who, base, copy);
    const { device, group } = base;
    const attempt = await withClient(url, async (client) => {
      await client.query("set statement_timeout = '60s'; set lock_timeout = '5s'");
      return outcomeOf(() => line.run({ client, url, adminUrl: copy.adminUrl, device, group }));
    });
    return await judgeLine(line, who, base, copy, attempt);
  } finally {
    await runSql(cluster.adminUrl, `drop database ${copy.name} with (force)`);
  }
}

function urlOf({ cluster, second }: Ground, who: Escaper, { deployment }: Base, copy: ScratchDatabase): string {
  const owner = new URL(deployment.migratingUrl);
  owner.pathname = `/${copy.name}`;
  const urls: Record<Escaper, string> = {
    API: copy.apiUrl,
    "second application": cluster.urlOf(copy.name, second),
    owner: owner.href,
    superuser: copy.adminUrl,
  };
  return urls[who];
}

interface LineAttempt {
  readonly refusal: string | null;
  readonly said: string | undefined;
}

async function outcomeOf(run: () => Promise<string | undefined>): Promise<LineAttempt> {
  try {
    return { refusal: null, said: await run() };
  } catch (error) {
    const cause = error instanceof pg.DatabaseError ? error : (error as { driverError?: unknown }).driverError;
    if (cause instanceof pg.DatabaseError) return { refusal: cause.code ?? cause.message, said: undefined };
    if (error instanceof Error) return { refusal: error.message.split("\n")[0] ?? "", said: undefined };
    throw error;
  }
}

async function judgeLine(
  line: Line,
  who: Escaper,
  base: Base,
  copy: ScratchDatabase,
  { refusal, said }: LineAttempt,
): Promise<Judgement> {
  const how = (text: string) => [text, said].filter(Boolean).join("; ");
  // Who owns the tables here may act as audit_guard, and so take the fence down and put it up again.
  const administers = line.isBreach === true && (who === "owner" || who === "superuser");
  const silent = (text: string): Judgement => ({
    outcome: administers ? "detectable by comparison" : "LOST",
    how: how(text),
  });
  const harm = alterations(base.log, await logState(copy.adminUrl)).filter(
    (what) => !(administers || line.isBulk) || what !== "what guards it is other",
  );
  if (harm.length > 0) return silent(harm.join(", "));
  const now = await evidenceOf(copy.adminUrl, []).catch(() => null);
  if (now === null) return silent("an audited table is gone or other");
  const known = new Set(base.evidence.entries.map(({ id }) => id));
  const fresh = now.entries.filter(({ id }) => !known.has(id));
  if (line.isBulk && refusal === null && tellsOfBulk(fresh)) return { outcome: "recorded", how: how(whoWrote(fresh)) };
  const changed = rowsText(base.evidence) !== rowsText(now);
  const { changesWithoutEntry } = judge(now);
  if (changesWithoutEntry.length > 0) return silent(changesWithoutEntry[0] ?? "");
  if (fresh.length > 0) return { outcome: "recorded", how: how(whoWrote(fresh)) };
  if (changed) return silent("rows are other, and nothing tells of it");
  return { outcome: "refused", how: how(refusal ?? "without effect") };
}

/** The tables as they stand, but for fields that the log ignores. */
const rowsText = ({ tables, rows }: Evidence): string =>
  canonical(
    tables.map(({ type, tenantColumn, idColumn, fields }) =>
      (rows.get(type) ?? [])
        .map((row) => canonical([row[tenantColumn], row[idColumn], ...fields.map(({ column }) => row[column])]))
        .sort(),
    ),
  );

const tellsOfBulk = (fresh: readonly LoggedEntry[]): boolean =>
  fresh.some(({ tenantId, changes }) => tenantId === "$platform" && changes.some(({ field }) => field === "rows"));

function whoWrote(entries: readonly LoggedEntry[]): string {
  const by = groupBy(entries, ({ actorType }) => actorType);
  return [...by].map(([actor, its]) => `${String(its.length)} by ${actor}`).join(", ");
}

function report(tried: readonly Tried[]): DrillReport {
  const rows = [...groupBy(tried, ({ what, outcome }) => `${what} ${outcome}`).values()].map((its) => [
    its[0]?.what ?? "",
    its[0]?.outcome ?? "",
    its.map(({ who }) => who).join(", "),
    [...new Set(its.map(({ how }) => how))].join(" or "),
  ]);
  const counts = outcomes.map((outcome) => [outcome, String(tried.filter((each) => each.outcome === outcome).length)]);
  const losses = tried
    .filter(({ outcome }) => outcome === "LOST")
    .map(({ what, who, how }) => `${what}, as ${who}: ${how}`);
  const text = [
    table(["what was tried", "came of it", "as", "how"], rows, { texts: 4 }),
    table(["came of it", "attempts"], counts),
  ];
  return { text: text.join("\n\n"), losses };
}
