import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { newIdOfOurs } from "../migrations/1795219202000-identifiers.js";
import { describedFunctions, type MadeFunction } from "../src/audit/self-check/describe-functions.js";
import { describedParts, type MadePart } from "../src/audit/self-check/describe-parts.js";
import { plainCatalogue } from "../src/audit/self-check/plain-catalogue.js";

/** What the migrations made of the log: what the self-check compares a database with. */
export interface Made {
  readonly madeFunctions: readonly MadeFunction[];
  readonly madeParts: readonly MadePart[];
}

/**
 * Reads it from a freshly migrated database, as a superuser. Of the function that the migrations make by the server's
 * version the source has both forms, where the server can hold both: it is then PostgreSQL 18 or later.
 */
export async function readMade(client: pg.ClientBase): Promise<Made> {
  await client.query(`begin; ${plainCatalogue}`);
  try {
    const functions = await readFunctions(client);
    const { rows: madeParts } = await client.query<MadePart>(parts);
    await client.query(`set local role audit_guard; ${newIdOfOurs.replace("create", "create or replace")}; reset role`);
    const [other] = (await readFunctions(client)).filter(({ name }) => name === "audit.new_id()");
    const madeFunctions = functions.map((made) => ({
      ...made,
      sources: made.name === other?.name ? [...new Set([...made.sources, ...other.sources])].sort() : made.sources,
      migration: migrationOf(made.name),
    }));
    return { madeFunctions, madeParts };
  } finally {
    await client.query("rollback");
  }
}

/** The text of src/audit/self-check/made.ts. */
export function madeText({ madeFunctions, madeParts }: Made): string {
  const list = (name: string, type: string, items: readonly object[]): string =>
    `\nexport const ${name}: readonly ${type}[] = [\n${items.map((item) => `  ${JSON.stringify(item)},\n`).join("")}];\n`;
  return [
    "// Written by `npm run generate:made` from a freshly migrated database: what the migrations made of the log.\n",
    'import type { MadeFunction } from "./describe-functions.js";\n',
    'import type { MadePart } from "./describe-parts.js";\n',
    list("madeFunctions", "MadeFunction", madeFunctions),
    list("madeParts", "MadePart", madeParts),
  ].join("");
}

async function readFunctions(client: pg.ClientBase): Promise<Omit<MadeFunction, "migration">[]> {
  const { rows } = await client.query<Omit<MadeFunction, "migration">>(functions);
  return rows;
}

const functions = `
  with ${describedFunctions}
  select name, attributes, array[source] as sources, has_function_privilege('audit_writer', oid, 'EXECUTE') as "isWriters"
  from described order by name collate "C"`;

const parts = `
  with ${describedParts}
  select root, kind, part, definition from described
  where level = 0 order by root collate "C", kind collate "C", part collate "C"`;

/** The last file that makes it; of a migration that is put together from others, the part. */
function migrationOf(name: string): string {
  const makes = new RegExp(`create (or replace )?function ${name.slice(0, name.indexOf("("))}\\(`);
  const files = readdirSync("migrations", { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && makes.test(readFileSync(join("migrations", path), "utf8")))
    // Parts stand in folders; a later migration makes anew what they made.
    .sort((one, other) => Number(/^\d/.test(one)) - Number(/^\d/.test(other)) || (one < other ? -1 : 1));
  return join("migrations", files.at(-1) ?? "");
}
