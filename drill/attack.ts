import { ScratchCluster } from "../scratch/cluster.js";
import { rowsOf, run as runSql } from "../scratch/sql.js";
import { table } from "../scratch/table.js";
import { Api } from "../scratch/api.js";
import { attackersOf } from "./attack/attackers.js";
import { attacks, type Attack } from "./attack/list.js";
import { otherWays } from "./attack/other-ways.js";
import { logState } from "./attack/state.js";
import { tryOut } from "./attack/try-out.js";
import { deploy, type Deployment } from "../scratch/deployment.js";
import { leaveEntries } from "./leave-entries.js";
import type { Drill, DrillGround, DrillReport } from "./drill.js";
import { outcomes, type Judgement } from "./outcome.js";
import { groupBy } from "./values.js";

export const attack: Drill = {
  name: "attack",
  about: "history altered, emptied, unguarded and forged, as every login there is; each in a transaction of its own",
  run,
};

/** One attack by one attacker, and what came of it. */
export interface Tried extends Judgement {
  readonly aim: string;
  readonly what: string;
  readonly who: string;
}

/** A short run leaves out all but each so-manieth. */
const QUICK_STEP = 6;

async function run(ground: DrillGround): Promise<DrillReport> {
  ground.progress("starting a PostgreSQL of its own, and the API on it");
  const cluster = await ScratchCluster.start({ purpose: "drill" });
  ground.cleanup.add(() => cluster.remove());
  const guarded = await deployWithEntries(cluster, "guarded", "superuser", ground);
  const plain = await deployWithEntries(cluster, "plain", "migrating login", ground);
  const tried: Tried[] = [];
  for (const attacker of await attackersOf(cluster, guarded, plain)) {
    ground.progress(`as ${attacker.name}`);
    const { adminUrl, apiUrl } = attacker.base.database;
    const before = await logState(adminUrl);
    if (before === null) throw new Error("The log can't be read before the first attack.");
    const all = attacks(await partitionOf(adminUrl), new URL(apiUrl).username);
    const list = ground.quick ? all.filter((_, place) => place % QUICK_STEP === ground.seed % QUICK_STEP) : all;
    for (const [place, each] of list.entries()) {
      const judgement = await tryOut(cluster, attacker, each, before, `copy_${String(place)}`);
      tried.push({ aim: each.aim, what: wordsOf(each), who: attacker.name, ...judgement });
    }
  }
  ground.progress("by other ways than SQL");
  tried.push(...(await otherWays(cluster, guarded, plain)));
  return report(tried);
}

async function deployWithEntries(
  cluster: ScratchCluster,
  name: string,
  by: "superuser" | "migrating login",
  { cleanup }: DrillGround,
): Promise<Deployment> {
  const deployment = await deploy(cluster, name, by);
  const api = await Api.start(deployment.settings);
  cleanup.add(() => api.kill());
  await leaveEntries(deployment, api);
  await api.stop();
  const others = by === "superuser" ? "app_api, audit_reader, audit_owner" : "app_api";
  await runSql(
    deployment.database.adminUrl,
    // A view of the superuser's: who writes through it passes every check of privileges.
    `create view app.log as select * from audit.entry`,
    `grant select, insert, update, delete, truncate on app.log to ${others}`,
    `grant usage on schema app to ${others}`,
  );
  return deployment;
}

async function partitionOf(adminUrl: string): Promise<string> {
  const [found] = await rowsOf<{ name: string }>(
    adminUrl,
    `select min(tableoid::regclass::text) as name from audit.entry`,
  );
  return found?.name ?? "audit.entry_default";
}

const wordsOf = ({ statements }: Attack): string => statements.join("; ").replace(/\s+/g, " ");

const WIDEST = 100;

function report(tried: readonly Tried[]): DrillReport {
  const groups = groupBy(tried, ({ aim, what, outcome }) => `${aim} ${what} ${outcome}`);
  const lines = [...groups.values()].map((its) => {
    const [{ aim, what, outcome, how } = { aim: "", what: "", outcome: "", how: "" }] = its;
    const how_ =
      new Set(its.map((each) => each.how)).size === 1 ? how : [...new Set(its.map((each) => each.how))].join(" or ");
    return [aim, shortened(what), outcome, its.map(({ who }) => who).join(", "), how_];
  });
  const counts = outcomes.map((outcome) => [outcome, String(tried.filter((each) => each.outcome === outcome).length)]);
  const losses = tried
    .filter(({ outcome }) => outcome === "LOST")
    .map(({ what, who, how }) => `${what}, as ${who}: ${how}`);
  const text = [
    table(["aim", "what was tried", "came of it", "as", "how"], lines, { texts: 5 }),
    table(["came of it", "attempts"], counts),
  ];
  return { text: text.join("\n\n"), losses };
}

const shortened = (text: string): string => (text.length > WIDEST ? `${text.slice(0, WIDEST - 1)}…` : text);
