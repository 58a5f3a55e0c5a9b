import { execFileSync } from "node:child_process";

/**
 * Runs a module's text in a folder in which no file may take more octets than that: as on a disk without room, which the
 * system tells by EFBIG here. `dist` is where the project's compiled modules are.
 *
 * @returns what it printed
 */
export function runWithoutRoom(folder: string, bytes: number, text: string): string {
  const module = `const dist = ${JSON.stringify(`${process.cwd()}/dist/src`)};\n${text}`;
  const limited = 'ulimit -f "$1" && exec "$2" --input-type=module -e "$3"';
  const args = ["-c", limited, "sh", String(Math.floor(bytes / 512)), process.execPath, module];
  return execFileSync("sh", args, { cwd: folder, encoding: "utf8" }).trim();
}
