import pg from "pg";
import { withClient } from "../../../src/database/connection.js";

/** Runs `work` on a connection of its own, which is closed whatever becomes of it. */
export async function session<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient({ connectionString: url, connectionTimeoutMillis: 10_000 }, work);
}

/** The URL of a session that calls itself so. */
export function named(url: string, applicationName: string): string {
  const result = new URL(url);
  result.searchParams.set("application_name", applicationName);
  return result.href;
}

/** The SQLSTATE that refuses a statement, its constraint behind a space where there is one, or "succeeded". */
export async function outcomeOf(client: pg.ClientBase, sql: string, params: unknown[] = []): Promise<string> {
  try {
    await client.query(sql, params);
    return "succeeded";
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return [error.code, error.constraint].filter(Boolean).join(" ");
  }
}

/** `outcomeOf` in a transaction that is rolled back, so that an attack that gets through spoils no other test. */
export async function outcomeOfAttempt(client: pg.ClientBase, sql: string): Promise<string> {
  await client.query("begin");
  const outcome = await outcomeOf(client, sql);
  await client.query("rollback");
  return outcome;
}
