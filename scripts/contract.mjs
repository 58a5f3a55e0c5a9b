import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

// The contract stands beside the project, where its authors keep it; a clone alone has none to compare with.
const checker = join(root, "..", "shared", "check-contract.mjs");
if (existsSync(checker)) {
  const { status } = spawnSync(process.execPath, [checker], { cwd: root, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else console.log("Skipped: ../shared isn't beside the project, so there is no contract to compare with.");
