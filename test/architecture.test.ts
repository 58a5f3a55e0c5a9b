import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as framework from "../src/audit/index.js";
import { features } from "../src/features.js";

interface Source {
  readonly path: string;
  /** Without comments. */
  readonly code: string;
}

const sources: readonly Source[] = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({
    path: join("src", path),
    code: readFileSync(join("src", path), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ""),
  }));

const filesWith = (pattern: RegExp, of = sources): string[] =>
  of
    .filter(({ code }) => pattern.test(code))
    .map(({ path }) => path)
    .sort();

describe("the log's table", () => {
  it("is one, with four beside it: for changed fields, keys, sessions, and what is declared, and those of the fence", () => {
    const tables = sources.flatMap(({ code }) =>
      [...code.matchAll(/\b(?:from|join|into|update|table|truncate)\s+(?:only\s+)?(audit\.\w+)\b(?!\()/gi)].map(
        ([, table]) => table,
      ),
    );
    expect([...new Set(tables)].sort()).toEqual([
      "audit.declaration",
      "audit.entry",
      "audit.entry_field",
      "audit.entry_key",
      "audit.fence",
      "audit.fence_judged",
      "audit.fence_mode",
      "audit.fence_policy",
      "audit.fence_standing",
      "audit.session",
    ]);
  });

  it("is written in one place; what else inserts there takes it back", () => {
    expect(filesWith(/insert\s+into\s+audit\.(?!fence)/i)).toEqual([
      // The places of entries that may be sent twice.
      "src/audit/entry-key.ts",
      "src/audit/insert-entries.ts",
      // The same columns, for what is reported in batches.
      "src/audit/insert-many.ts",
      // An entry as mutations write it, and attacks: both in transactions that are rolled back.
      "src/audit/self-check/attacks.ts",
      // The key of an entry that may be written again.
      "src/audit/write-apart.ts",
      "src/readiness.ts",
    ]);
  });

  it("is read by the log's readers alone", () => {
    expect(filesWith(/(?<!delete\s)\b(?:from|join)\s+audit\.entry/i)).toEqual([
      // The entries of its own transaction, inside the database.
      "src/audit/fence/fence-function.ts",
      "src/audit/read/entry-row.ts",
      "src/audit/read/statements.ts",
      // Whether the DEFAULT partition holds any.
      "src/readiness.ts",
    ]);
  });

  it("is changed and deleted from by nothing but the attacks that have to fail", () => {
    const attacks = /\b(?:update\s+audit\.(?!fence)|delete\s+from\s+audit\.(?!fence)|truncate\s+(?:table\s+)?audit\.)/i;
    expect(filesWith(attacks)).toEqual(["src/audit/self-check/attacks.ts"]);
  });
});

describe("the framework", () => {
  const own = sources
    .filter(({ path }) => path.startsWith("src/audit/"))
    // The contract's descriptions give examples.
    .map(({ path, code }) => ({ path, code: code.replace(/such as "\w+"/g, "") }));

  it("names no kind of resource, and branches on none", () => {
    const types = features.flatMap((feature) => feature.resources.map(({ type }) => type));
    expect(types).toContain("device");
    expect(filesWith(new RegExp(`["'\`](?:${types.join("|")})["'\`.]`), own)).toEqual([]);
  });

  it("has no off switch, and reads no environment", () => {
    expect(filesWith(/process\.env/, own)).toEqual([]);
    expect(filesWith(/process\.env/)).toEqual(["src/cli/token.ts", "src/main.ts"]);
  });

  it("gives no one a way to make an entry", () => {
    const names = Object.keys(framework);
    expect(names.filter((name) => /insert|forge|fake|mock|writeStaged|EntryTemplate|test/i.test(name))).toEqual([]);
  });
});
