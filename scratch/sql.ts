import type pg from "pg";
import { withClient as withClientOf } from "../src/database/connection.js";

/** Runs statements, one by one, on a connection of their own. */
export async function run(url: string, ...statements: readonly string[]): Promise<void> {
  await withClient(url, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

export async function rowsOf<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(sql, [...values])).rows);
}

export async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  return withClientOf({ connectionString: url, connectionTimeoutMillis: 10_000 }, work);
}
