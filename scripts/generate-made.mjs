import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { orExit, prepare, root } from "./prepare.mjs";

await orExit(prepare);
const { withClient } = await import("../dist/src/database/connection.js");
const { ScratchCluster } = await import("../dist/scratch/cluster.js");
const { madeText, readMade } = await import("../dist/scratch/made.js");

process.chdir(root);
const cluster = await ScratchCluster.start({ purpose: "made" });
try {
  const { adminUrl } = await cluster.database("made");
  const text = madeText(await withClient({ connectionString: adminUrl }, readMade));
  await writeFile(join(root, "src/audit/self-check/made.ts"), text);
} finally {
  await cluster.remove();
}
