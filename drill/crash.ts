import { setTimeout as delay } from "node:timers/promises";
import { Api } from "../scratch/api.js";
import type { Drill, DrillGround, DrillReport } from "./drill.js";
import { CLIENTS, leakedSecrets, prepareLoad, quiet, type LoadGround } from "./load.js";
import { reconcile } from "./reconcile.js";
import { judgeSessions } from "./reconcile/sessions.js";
import { reconciled, reportOf } from "./report.js";

/** How long a run may live, in milliseconds: from before the first answers to well under way. */
const SHORTEST_LIFE = 5;
const LONGEST_LIFE = 600;
const LAST_LIFE = 1_000;

export const crash: Drill = {
  name: "crash",
  about: "kill -9 of the API at random moments under load, again and again; then every row's history is reconciled",
  run,
};

async function run(ground: DrillGround): Promise<DrillReport> {
  const kills = ground.kills ?? (ground.quick ? 5 : 100);
  const load = await prepareLoad(ground);
  load.writers.start();
  ground.cleanup.add(() => load.writers.stop());
  for (let number = 0; number < kills; number++) {
    if (number % 10 === 0) ground.progress(`kill ${String(number + 1)} of ${String(kills)}`);
    await liveAndDie(ground, load, number);
  }
  ground.progress("the last run, which is asked to end");
  const exitCode = await liveAndEnd(ground, load, kills);
  ground.progress("reconciling rows, entries and answers");
  await quiet(load);
  const found = await reconcile(load.database.adminUrl, load.writers.attempts);
  const misjudged = await judgeSessions(load.database.adminUrl);
  const leaks = await leakedSecrets(load.database.adminUrl);
  const { counts } = found;
  return reportOf(
    [
      ["kill -9 of the API", kills],
      ["clients that write all the time", CLIENTS],
      ["operations sent", counts.attempts],
      ["answered", counts.answered],
      ["unanswered, since the API died", counts.unanswered],
      ["entries", counts.entries],
      ["transactions that changed rows", counts.transactions],
      ["resources whose history was followed", counts.resources],
      ["sessions", counts.sessions],
      ["numbers that sessions lack, of unanswered operations", counts.missingNumbers],
    ],
    [
      ...reconciled(found),
      ["sessions that are listed otherwise", misjudged],
      ["entries that hold a secret", leaks === 0 ? [] : [`${String(leaks)} entries hold one`]],
      ["SIGTERM that didn't end it with 0", exitCode === 0 ? [] : [`the last run ended with ${String(exitCode)}`]],
    ],
  );
}

async function liveAndDie({ cleanup }: DrillGround, { settings, writers, random }: LoadGround, run: number) {
  const api = await Api.start(settings);
  cleanup.add(() => api.kill());
  writers.aim({ origin: api.origin, run });
  await delay(random.between(SHORTEST_LIFE, LONGEST_LIFE));
  writers.hold();
  await api.kill();
}

async function liveAndEnd({ cleanup }: DrillGround, { settings, writers }: LoadGround, run: number) {
  const api = await Api.start(settings);
  cleanup.add(() => api.kill());
  writers.aim({ origin: api.origin, run });
  await delay(LAST_LIFE);
  const exitCode = api.stop();
  await writers.stop();
  return exitCode;
}
