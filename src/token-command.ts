import { resolve } from "node:path";
import { defaultDataDir } from "./config.js";
import { shellPath } from "./shell-path.js";

/** The command that prints a token by the key in this folder, to be pasted in another terminal in the project's folder. */
export function tokenCommand(dataDir: string, options: string): string {
  const setting = dataDir === resolve(defaultDataDir) ? "" : `DATA_DIR=${shellPath(dataDir)} `;
  return `${setting}npm run --silent token -- ${options}`;
}
