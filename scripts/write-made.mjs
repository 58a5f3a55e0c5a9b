import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withClient } from "../dist/src/database/connection.js";
import { ScratchCluster } from "../dist/scratch/cluster.js";
import { madeText, readMade } from "../dist/scratch/made.js";

// What is compiled makes a database of its own, and what stands there is written down.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const cluster = await ScratchCluster.start({ purpose: "made" });
try {
  const { adminUrl } = await cluster.database("made");
  const text = madeText(await withClient({ connectionString: adminUrl }, readMade));
  await writeFile(join(root, "src/audit/self-check/made.ts"), text);
} finally {
  await cluster.remove();
}
