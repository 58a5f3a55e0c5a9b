import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { orExit, prepare, root } from "./prepare.mjs";

await orExit(prepare);
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
// In this very process, so that signals reach Vitest and its exit code is ours.
process.argv.splice(1, 1, vitest, "run");
await import(pathToFileURL(vitest).href);
