import pg from "pg";

/** Runs a statement that leaves nothing behind, and answers its rows or how the database refused it. */
export async function tryOut<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[] | pg.DatabaseError> {
  await client.query(`savepoint tried`);
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  } finally {
    await client.query(`rollback to savepoint tried`);
  }
}

/** The problems that a look into the catalogue answers, or that it couldn't be taken. */
export async function look(client: pg.ClientBase, sql: string, values: readonly unknown[] = []): Promise<string[]> {
  const result = await tryOut<{ problem: string }>(client, sql, values);
  if (!(result instanceof pg.DatabaseError)) return result.map(({ problem }) => problem);
  return [
    `The catalogue could not be read (${result.code}: ${result.message}): start again when nothing locks the log.`,
  ];
}
