import { setTimeout as delay } from "node:timers/promises";
import { ScratchCluster, type ClusterOptions, type ScratchDatabase } from "../scratch/cluster.js";
import { rowsOf } from "../scratch/sql.js";
import { tokenMaker } from "../scratch/tokens.js";
import type { ApiSettings } from "../scratch/api.js";
import { deploy } from "../scratch/deployment.js";
import type { DrillGround } from "./drill.js";
import { Random } from "./random.js";
import { installWitness } from "./witness.js";
import { Writers } from "./writers.js";

export const CLIENTS = 16;
const TENANTS = ["north", "south"];
const QUIET_DEADLINE = 20_000;

/** A cluster, a database with a witness, how to start the API on it, and clients that wait for one. */
export interface LoadGround {
  readonly cluster: ScratchCluster;
  readonly database: ScratchDatabase;
  readonly settings: ApiSettings;
  readonly writers: Writers;
  readonly random: Random;
}

/** Makes all that a drill under load needs; the ground's cleanup takes it away again. */
export async function prepareLoad(
  { cleanup, progress, seed }: DrillGround,
  settings: ClusterOptions["settings"] = {},
): Promise<LoadGround> {
  progress("starting a PostgreSQL of its own");
  const cluster = await ScratchCluster.start({ purpose: "drill", settings });
  cleanup.add(() => cluster.remove());
  const { database, settings: apiSettings } = await deploy(cluster, "drilled");
  await installWitness(database.adminUrl);
  const random = new Random(seed);
  const mint = await tokenMaker(cluster.folder);
  const writers = new Writers({ count: CLIENTS, tenants: TENANTS, random: random.fork(), mint });
  return { cluster, database, settings: apiSettings, writers, random };
}

/** Waits until nothing of the API's is left in the database: what it had sent has been done or undone. */
export async function quiet({ database }: Pick<LoadGround, "database">): Promise<void> {
  const end = performance.now() + QUIET_DEADLINE;
  for (;;) {
    const [left] = await rowsOf<{ count: number }>(
      database.adminUrl,
      `select count(*)::int as count from pg_stat_activity
       where datname = $1 and application_name like 'auditql%' and state <> 'idle'`,
      [database.name],
    );
    if (left?.count === 0) return;
    if (performance.now() > end) throw new Error("The API's connections were still busy after its end.");
    await delay(50);
  }
}

/** How many entries hold anything of a secret that a client sent. */
export async function leakedSecrets(adminUrl: string): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(
    adminUrl,
    `select count(*)::int as count from audit.entry where entry::text like '%canary-%'`,
  );
  return row?.count ?? 0;
}
