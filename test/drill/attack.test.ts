import { afterAll, beforeAll, expect, test } from "vitest";
import { attackersOf, type Attacker } from "../../drill/attack/attackers.js";
import { logState, type LogState } from "../../drill/attack/state.js";
import { tryOut } from "../../drill/attack/try-out.js";
import { Api } from "../../scratch/api.js";
import { leaveEntries } from "../../drill/leave-entries.js";
import { deploy, type Deployment } from "../../scratch/deployment.js";
import { ScratchCluster } from "../../scratch/cluster.js";
import { run } from "../../scratch/sql.js";

let cluster: ScratchCluster;
let deployment: Deployment;
let attackers: ReadonlyMap<string, Attacker>;
let before: LogState;

beforeAll(async () => {
  cluster = await ScratchCluster.start({ purpose: "drill" });
  deployment = await deploy(cluster, "drilled", "migrating login");
  const api = await Api.start(deployment.settings);
  await leaveEntries(deployment, api);
  await api.stop();
  const all = await attackersOf(cluster, deployment, deployment);
  attackers = new Map(all.map((attacker) => [attacker.name, attacker]));
  before = await look(deployment.database.adminUrl);
}, 120_000);
afterAll(() => cluster.remove());

async function look(adminUrl: string): Promise<LogState> {
  const state = await logState(adminUrl);
  if (!state) throw new Error("The log can't be read.");
  return state;
}

async function outcomeOf(who: string, ...statements: string[]) {
  const attacker = attackers.get(who);
  if (!attacker) throw new Error(`Nobody is called ${who}.`);
  return tryOut(cluster, attacker, { aim: "alter", statements }, before, "copy");
}

test("what the database refuses is refused, with its code", async () => {
  expect(await outcomeOf("API", `update audit.entry set reason = 'x'`)).toEqual({ outcome: "refused", how: "42501" });
});

test("what changes nothing is no loss", async () => {
  expect(await outcomeOf("API", `select 1`)).toEqual({ outcome: "refused", how: "without effect" });
});

test("who administers the log alters it, and that is detectable by comparison alone", async () => {
  const statements = [`alter table audit.entry disable trigger user`, `delete from audit.entry where reason is null`];
  const { outcome, how } = await outcomeOf("migrating login as guard", ...statements);
  expect(outcome).toBe("detectable by comparison");
  expect(how).toMatch(/^\d+ of \d+ entries are gone or other.*; the next start refuses$/);
});

test("the API's login that gets through is a loss", async () => {
  const open = await cluster.database("open", deployment.database.name);
  await run(
    open.adminUrl,
    `set role audit_guard`,
    `grant update (reason), select on audit.entry to app_api`,
    `alter table audit.entry disable trigger user`,
    `create policy open on audit.entry to app_api using (true)`,
    `reset role`,
  );
  const api: Attacker = {
    name: "API",
    base: { ...deployment, database: open },
    url: (database) => cluster.urlsOf(database).apiUrl,
    prelude: null,
    isAdministrator: false,
  };
  const attack = { aim: "alter", statements: [`update audit.entry set reason = 'x'`] };
  const { outcome, how } = await tryOut(cluster, api, attack, await look(open.adminUrl), "open_copy");
  expect([outcome, how]).toEqual(["LOST", expect.stringMatching(/^\d+ of \d+ entries are gone or other$/)]);
});
