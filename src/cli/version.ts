import { readFileSync } from "node:fs";

/** The package's version. */
export function readVersion(): string {
  // Compiled files lie one folder deeper.
  const up = import.meta.url.includes("/dist/src/") ? "../../../" : "../../";
  const text = readFileSync(new URL(`${up}package.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
