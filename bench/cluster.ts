import { ScratchCluster } from "../scratch/cluster.js";
import { rowsOf } from "../scratch/sql.js";

export type { ScratchCluster as BenchCluster, ScratchDatabase as BenchDatabase } from "../scratch/cluster.js";
export { rowsOf, run, withClient } from "../scratch/sql.js";

/**
 * Starts a PostgreSQL with durability as in production: fsync and synchronous_commit on. Only checkpoints are put off
 * beyond the run, so that none falls on the one side of a comparison.
 */
export async function startCluster(): Promise<ScratchCluster> {
  const cluster = await ScratchCluster.start({
    purpose: "bench",
    settings: { max_wal_size: "16GB", checkpoint_timeout: "1h" },
  });
  try {
    await requireDurable(cluster.adminUrl);
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

async function requireDurable(url: string): Promise<void> {
  const [row] = await rowsOf<{ fsync: string; commit: string }>(
    url,
    "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit",
  );
  if (row?.fsync !== "on" || row.commit !== "on") throw new Error("fsync and synchronous_commit have to be on.");
}
