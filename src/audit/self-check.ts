import pg from "pg";
import { attackFindings } from "./self-check/attacks.js";
import { functionFindings } from "./self-check/functions.js";
import { partFindings } from "./self-check/parts.js";
import { plainCatalogue } from "./self-check/plain-catalogue.js";
import { rights } from "./self-check/rights.js";
import { triggers } from "./self-check/triggers.js";
import { look } from "./self-check/try-out.js";

/**
 * Finds out, as the API's own login, whether that login could alter, forge or read the log, and whether what guards the
 * log is what the migrations made.
 *
 * Looks into the catalogue first, and then tries: in a transaction that is rolled back, with short time-outs. Answers
 * every problem at once, each with what mends it; none where all is well. Throws only where the connection fails.
 */
export async function selfCheck(client: pg.ClientBase): Promise<string[]> {
  await client.query(
    `begin; set local lock_timeout = '500ms'; set local statement_timeout = '5s'; set local jit = off; ${plainCatalogue}`,
  );
  try {
    const missing = await look(client, missingTables);
    if (missing.length > 0) return missing;
    const found: string[] = [];
    for (const sql of [...rights, ...triggers]) found.push(...(await look(client, sql)));
    found.push(...(await functionFindings(client)), ...(await partFindings(client)));
    return [...found, ...(await attackFindings(client))];
  } finally {
    await client.query(`rollback`);
  }
}

const missingTables = `
  select format('There is no table audit.%s: run the migrations.', name) as problem
  from unnest(array['entry', 'entry_field', 'entry_key']) as name
  where not exists (
    select from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'audit' and relname = name
  )`;
