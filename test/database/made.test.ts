import { afterAll, beforeAll, expect, test } from "vitest";
import { readMade } from "../../scratch/made.js";
import * as written from "../../src/audit/self-check/made.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { session } from "./support/session.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

test("what the self-check expects is what the migrations make, on each version of PostgreSQL", async () => {
  const made = await session(database.adminUrl, readMade);
  // Of the function that depends on the server's version, a server before 18 can't hold both forms.
  const madeFunctions = made.madeFunctions.map((each) => {
    const known = written.madeFunctions.find(({ name }) => name === each.name)?.sources ?? [];
    const isOneOfTwo = each.name === "audit.new_id()" && each.sources.every((source) => known.includes(source));
    return isOneOfTwo ? { ...each, sources: known } : each;
  });
  const remedy =
    "src/audit/self-check/made.ts isn't what the migrations make: run `npm run generate:made` and commit it";
  expect(madeFunctions, remedy).toEqual(written.madeFunctions);
  expect(made.madeParts, remedy).toEqual(written.madeParts);
  expect(written.madeFunctions.filter(({ sources }) => sources.length !== 1).map(({ name }) => name)).toEqual([
    "audit.new_id()",
  ]);
});
