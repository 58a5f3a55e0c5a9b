import { once } from "node:events";
import { connect as connectTo, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endingOf, openClient, openPool } from "../../src/database/connection.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { until } from "../support/until.js";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const terminateAll = () =>
  query(
    database.adminUrl,
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
    [database.name],
  );

interface Way {
  readonly url: string;
  /** Tells the server what was held back. */
  letGo(): void;
  close(): void;
}

/** A way to the database on which no connection's farewell arrives, so that each outlasts its end here. */
async function withoutFarewell(onFarewell: () => void = () => undefined): Promise<Way> {
  const held: Socket[] = [];
  const farewell = Buffer.from("X\0\0\0\x04");
  const { port, hostname } = new URL(database.apiUrl);
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connectTo(Number(port), hostname);
    near.on("data", (data: Buffer) => {
      if (!data.equals(farewell)) return void far.write(data);
      held.push(far);
      onFarewell();
    });
    far.pipe(near);
    for (const socket of [near, far]) socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(database.apiUrl);
  url.port = String((server.address() as AddressInfo).port);
  const letGo = () => {
    for (const far of held) far.write(farewell);
  };
  return { url: url.href, letGo, close: () => void server.close() };
}

describe("a connection that the server ends", () => {
  test("is told by its pool in use, idle, and while it is being closed, and ends nothing else", async () => {
    const way = await withoutFarewell();
    const codes: unknown[] = [];
    const pool = openPool({ connectionString: way.url, max: 2 }, (error) => {
      if ("code" in error) codes.push(error.code);
    });
    const told = (count: number) =>
      until(() => codes.length === count, { what: `${String(count)} connections have told of their end` });
    const [idle, used] = [await pool.connect(), await pool.connect()];
    idle.release();
    await terminateAll();
    await told(2);
    used.release();
    await pool.query("select 1");
    await pool.end();
    await terminateAll();
    await told(3);
    expect(codes).toEqual(["57P01", "57P01", "57P01"]);
    way.close();
  });

  test("refuses its next statement, and ends nothing else", async () => {
    const client = await openClient({ connectionString: database.apiUrl });
    let isEnded = false;
    client.once("end", () => (isEnded = true));
    await terminateAll();
    await until(() => isEnded, { what: "the connection has ended" });
    await expect(client.query("select 1")).rejects.toThrow("Client has encountered a connection error");
    await client.end();
  });

  test("is waited for where its pool ends, or left alone where that takes too long", async () => {
    let isEnded = false;
    const seen: boolean[] = [];
    const way = await withoutFarewell(() => void seen.push(isEnded));
    const [patient, hasty] = [1, 2].map(() => openPool({ connectionString: way.url, max: 1 }, () => undefined));
    if (!patient || !hasty) throw new Error("There are none.");
    const ending = endingOf(patient, 30_000);
    const hastyEnding = endingOf(hasty, 50);
    await Promise.all([patient.query("select 1"), hasty.query("select 1")]);
    await hastyEnding();
    const ended = ending().then(() => (isEnded = true));
    await until(() => seen.length === 2, { what: "both have said farewell" });
    expect([seen, isEnded]).toEqual([[false, false], false]);
    way.letGo();
    await ended;
    way.close();
  });

  test("can't be opened where nobody answers", async () => {
    await expect(openClient({ connectionString: "postgres://nobody@127.0.0.1:1/none" })).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
  });
});
