import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { ProgramFacts } from "./audit/session-entry.js";

/** In characters, of each of a session's texts. */
const longestText = 200;

/** The package's version. */
export function readVersion(): string {
  // Compiled files lie one folder deeper.
  const up = import.meta.url.includes("/dist/src/") ? "../../" : "../";
  const text = readFileSync(new URL(`${up}package.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** What this process is, as its sessions name it. */
export function programFacts(program: string): ProgramFacts {
  return { program, version: readVersion(), host: hostname().slice(0, longestText) || "unknown" };
}
