import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ScratchCluster } from "../scratch/cluster.js";
import { rowsOf } from "../scratch/sql.js";
import { tokenMaker } from "../scratch/tokens.js";
import { Api, type ApiSettings } from "../scratch/api.js";
import { deploy } from "../scratch/deployment.js";
import type { Drill, DrillGround, DrillReport } from "./drill.js";
import { Random } from "./random.js";
import { reportOf } from "./report.js";
import { accounts, judge, type SessionAccount } from "./reports/account.js";
import { Network } from "./reports/network.js";
import { Relay, type RelaySettings } from "./reports/relay.js";
import { report, type ReporterOutcome } from "./reports/reporters.js";

const PROCESSES = 8;
const ENTRIES = 1_000_000;
const QUICK_ENTRIES = 20_000;
/** How long the relay may take, without anything that moves, for what is still with it. */
const DRAIN_DEADLINE = 60_000;

export const reports: Drill = {
  name: "reports",
  about:
    "eight processes report through a relay, undisturbed and then with API and relay killed and the network stalled",
  run,
};

/** What runs while processes report. */
interface Ground {
  readonly adminUrl: string;
  readonly api: ApiSettings;
  readonly relay: RelaySettings;
  readonly network: Network;
  readonly random: Random;
  readonly running: { api: Api; relay: Relay };
}

interface Faults {
  kills: number;
  stalls: number;
}

async function run(ground: DrillGround): Promise<DrillReport> {
  const entries = ground.entries ?? (ground.quick ? QUICK_ENTRIES : ENTRIES);
  const set = await prepare(ground);
  ground.progress(`${String(entries)} entries from ${String(PROCESSES)} processes, undisturbed`);
  const begun = performance.now();
  const undisturbed = await reportAll(ground, set, entries, false);
  const seconds = (performance.now() - begun) / 1000;
  const inBetween = await accounts(set.adminUrl);
  const faults: Faults = { kills: ground.kills ?? (ground.quick ? 2 : 20), stalls: 0 };
  ground.progress(`${String(entries)} entries more, with faults`);
  const disturbed = await reportAll(ground, set, entries, true, faults);
  const exits = [await set.running.relay.stop(), await set.running.api.stop()];
  const sessions = await accounts(set.adminUrl);
  const secrets = await leaked(set.adminUrl);
  return verdict({ entries, undisturbed, seconds, inBetween, disturbed, faults, exits, sessions, secrets });
}

async function prepare({ cleanup, progress, seed }: DrillGround): Promise<Ground> {
  progress("starting a PostgreSQL, the API and a relay of its own");
  const cluster = await ScratchCluster.start({ purpose: "drill" });
  cleanup.add(() => cluster.remove());
  const { database, settings: api } = await deploy(cluster, "drilled");
  const network = await Network.open();
  cleanup.add(() => network.close());
  const folder = join(cluster.folder, "relay");
  await mkdir(folder, { mode: 0o700 });
  const token = await (await tokenMaker(cluster.folder))("gateway", "north", "REPORTER");
  await writeFile(join(folder, "token"), token, { mode: 0o600 });
  const relay = {
    socketPath: join(folder, "relay.sock"),
    to: `http://127.0.0.1:${String(network.port)}/graphql`,
    tokenFile: join(folder, "token"),
    spool: join(folder, "spool"),
  };
  const running = { api: await startApi(api, network), relay: await Relay.start(relay) };
  cleanup.add(() => Promise.all([running.api.kill(), running.relay.kill()]));
  return { adminUrl: database.adminUrl, api, relay, network, random: new Random(seed), running };
}

async function startApi(settings: ApiSettings, network: Network): Promise<Api> {
  const api = await Api.start(settings);
  network.leadTo(Number(new URL(api.origin).port));
  return api;
}

/** Has all processes report their part, breaks what is to be broken meanwhile, and waits until the log has everything. */
async function reportAll(
  { cleanup, progress }: DrillGround,
  set: Ground,
  entries: number,
  isFaulted: boolean,
  faults?: Faults,
): Promise<ReporterOutcome[]> {
  const disturbed = faults ? disturb(set, faults, progress) : Promise.resolve();
  const reporting = Promise.all(
    Array.from({ length: PROCESSES }, (_, process) =>
      report(
        {
          socketPath: set.relay.socketPath,
          entries: Math.ceil(entries / PROCESSES),
          seed: set.random.between(0, 2 ** 31),
          isFaulted,
          isPatient: !isFaulted || process > 0,
        },
        disturbed,
        cleanup,
      ),
    ),
  );
  const [outcomes] = await Promise.all([reporting, disturbed]);
  progress("waiting until the relay has sent what it holds");
  await untilClosed(set.adminUrl, outcomes);
  return outcomes;
}

/** Kills the API and the relay so many times each, and stalls the network in between. */
async function disturb({ api, relay, network, random, running }: Ground, faults: Faults, progress: Progress) {
  for (let number = 0; number < faults.kills; number++) {
    if (number % 5 === 0) progress(`kill ${String(number + 1)} of ${String(faults.kills)}, of each`);
    await delay(random.between(200, 1_500));
    await running.api.kill();
    await delay(random.between(0, 500));
    running.api = await startApi(api, network);
    await delay(random.between(200, 1_500));
    await running.relay.kill();
    await delay(random.between(0, 500));
    running.relay = await Relay.start(relay);
    if (number % 2 === 1) continue;
    faults.stalls += 1;
    network.stall();
    await delay(random.between(500, 3_000));
    network.heal();
  }
}

type Progress = DrillGround["progress"];

/** The last thing that a session's relay sends is that it has ended. */
async function untilClosed(adminUrl: string, outcomes: readonly ReporterOutcome[]): Promise<void> {
  const ids = outcomes.map(({ sessionId }) => sessionId);
  let last = { state: "", at: performance.now() };
  for (;;) {
    const [row] = await rowsOf<{ closed: number; state: string }>(
      adminUrl,
      `select count(closed_at)::int as closed, max(last_heard_at)::text as state
         from audit.session where id in (${ids.map((id) => `'${id}'`).join()})`,
    );
    if (row?.closed === ids.length) return;
    if (row && row.state !== last.state) last = { state: row.state, at: performance.now() };
    // What is missing then, the account shows.
    if (performance.now() - last.at > DRAIN_DEADLINE) return;
    await delay(100);
  }
}

async function leaked(adminUrl: string): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(
    adminUrl,
    `select count(*)::int as count from audit.entry where changes::text like '%canary-%' or attempted::text like '%canary-%'`,
  );
  return row?.count ?? 0;
}

interface Findings {
  readonly entries: number;
  readonly undisturbed: readonly ReporterOutcome[];
  readonly seconds: number;
  readonly inBetween: readonly SessionAccount[];
  readonly disturbed: readonly ReporterOutcome[];
  readonly faults: Faults;
  readonly exits: readonly (number | null)[];
  readonly sessions: readonly SessionAccount[];
  readonly secrets: number;
}

function verdict(found: Findings): DrillReport {
  const { undisturbed, inBetween, disturbed, faults, exits, sessions, seconds, secrets } = found;
  const received = (all: readonly SessionAccount[], of: readonly ReporterOutcome[]) =>
    sum(all.filter(({ id }) => of.some(({ sessionId }) => sessionId === id)).map(({ entries }) => Number(entries)));
  const isOf = (outcomes: readonly ReporterOutcome[]) => (id: string) =>
    outcomes.some(({ sessionId }) => sessionId === id);
  const taken = sum(undisturbed.map((outcome) => outcome.taken));
  const lacking = taken - received(inBetween, undisturbed);
  const judged = judge(sessions, [...undisturbed, ...disturbed]);
  return reportOf(
    [
      ["processes that report, through one relay", PROCESSES],
      ["undisturbed: numbers taken", taken],
      ["… received", received(inBetween, undisturbed)],
      ["… a second", Math.round(taken / seconds)],
      ["kill -9 of the API, and as many of the relay", faults.kills],
      ["times that the network accepted and never read", faults.stalls],
      ["with these: numbers taken", sum(disturbed.map((outcome) => outcome.taken))],
      ["… received", received(sessions, disturbed)],
      ...reasons(sessions.filter(({ id }) => isOf(disturbed)(id))),
    ],
    [
      ["numbers that an undisturbed run lacks", lacking === 0 ? [] : [`${String(lacking)} of ${String(taken)}`]],
      ["numbers neither received nor listed with a reason", judged.unaccounted],
      ["entries that stand there twice", judged.twice],
      ["numbers received and listed as lost", judged.contradicted],
      ["numbers of which the session says otherwise than the entries", judged.miscounted],
      ["sessions that ended otherwise than their process said", judged.unlike],
      ["patient processes that lost what the API hadn't refused", patientLosses(disturbed, sessions)],
      ["entries that hold a secret", secrets === 0 ? [] : [`${String(secrets)} entries hold one`]],
      ["SIGTERM that didn't end relay or API with 0", exits.every((code) => code === 0) ? [] : [exits.join(", ")]],
    ],
  );
}

/** A process that goes slower where its entries don't get away loses none but the poisoned ones, whatever breaks. */
function patientLosses(outcomes: readonly ReporterOutcome[], sessions: readonly SessionAccount[]): string[] {
  const patient = outcomes.filter((_, process) => process > 0);
  return patient.flatMap(({ sessionId, lost }) => {
    const dropped = sessions.find(({ id }) => id === sessionId)?.dropped ?? [];
    const others = dropped.filter(({ reason }) => !reason.endsWith("BAD_USER_INPUT"));
    if (lost === 0 && others.length === 0) return [];
    return [`${sessionId}: ${String(lost)} lost, ${others.map(({ reason }) => reason).join()}`];
  });
}

function reasons(sessions: readonly SessionAccount[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { dropped } of sessions)
    for (const { reason, count } of dropped) counts.set(reason, (counts.get(reason) ?? 0) + Number(count));
  return [...counts].map(([reason, count]) => [`… listed as lost: ${reason}`, count]);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
