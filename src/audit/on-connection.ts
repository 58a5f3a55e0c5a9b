import type { Pool, PoolClient } from "pg";

/** Does work on one of the pool's connections. One on which it failed is given up, with whatever transaction it holds. */
export async function onConnection<Result>(pool: Pool, work: (client: PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    const result = await work(client);
    isBroken = false;
    return result;
  } finally {
    client.release(isBroken);
  }
}
