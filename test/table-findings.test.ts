import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabases, type Databases } from "../src/database.js";
import { Group } from "../src/groups/group.entity.js";
import { tableFindings } from "../src/table-findings.js";
import { session } from "./database/support/session.js";
import { createDatabase, query, type TestDatabase } from "./support/postgres.js";

let database: TestDatabase;
let databases: Databases;

beforeAll(async () => {
  database = await createDatabase();
  databases = await openDatabases(database, { entities: [Group], onError: () => undefined });
});
afterAll(async () => {
  await databases.close();
  await database.drop();
});

const findings = (dataDir: string | null): Promise<string[]> =>
  session(database.apiUrl, (client) => tableFindings(client, databases.write, dataDir));

it("a missing grant goes into a new migration, or into the old one on new data where those are a developer's own", async () => {
  expect(await findings(null)).toEqual([]);
  await query(database.adminUrl, 'revoke insert, delete on app."group" from app_api');
  const told =
    "The API may not use the table of Group, and the migration that made it has run. " +
    'Add a new one: `grant insert, delete on "app"."group" to app_api`.';
  const anew = "Or add that to the one that has run, and start with new data:";
  expect(await findings(null)).toEqual([told]);
  expect(await findings(join(process.cwd(), ".data"))).toEqual([`${told} ${anew} \`rm -r .data\`.`]);
});
