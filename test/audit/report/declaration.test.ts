import { expect, it } from "vitest";
import {
  completeness,
  defineReportedResource,
  ignore,
  reportedText,
  secret,
  trackSet,
} from "../../../src/audit/index.js";
import { judgeEntry } from "../../../src/audit/report/judge-entry.js";
import { createSchema } from "../../../src/schema.js";
import { createDatabase } from "../../support/postgres.js";
import { reported } from "../../support/report.js";
import { createRuntime } from "../../support/runtime.js";

const lookup = defineReportedResource({
  type: "dns_query",
  actions: ["REQUEST", "DELETE"],
  fields: { name: reportedText(253), answers: trackSet, cookie: secret, padding: ignore("It says nothing.") },
  required: ["name"],
  label: ({ name, cookie }) => `${String(name)} ${String(cookie)}`,
});
const judge = (fields: unknown, more: object = {}) => {
  const entry = reported(1, { resourceType: "dns_query", fields, claimedAt: "2026-11-22T06:00:00Z", ...more });
  const now = Date.parse("2026-11-22T06:00:01Z");
  return judgeEntry(entry, new Map([[lookup.type, lookup]]), "0192f0c1-2d3e-7abc-8def-0123456789ab", now);
};

it("A declared resource's fields are kept by their policies: a set sorted, a secret as being there, what is ignored not", () => {
  const { fields, resource } = judge({ name: "a.example", answers: ["b", "a", "b"], cookie: "c", padding: "p" });
  expect(fields).toEqual([
    { field: "name", value: '"a.example"', secret: false },
    { field: "answers", value: '["a","b"]', secret: false },
    { field: "cookie", value: null, secret: true },
  ]);
  // A label is made of tracked fields alone.
  expect(resource).toEqual({ type: "dns_query", id: null, label: "a.example undefined" });
});

it("Two reports that the log can't tell apart are equal, and others are not", () => {
  const digest = (...given: Parameters<typeof judge>) => judge(...given).digest.toString("hex");
  const first = digest({ name: "a", cookie: "one", answers: ["x", "y"] });
  expect(digest({ answers: ["y", "x"], cookie: "two", padding: 7, name: "a" })).toBe(first);
  expect(digest({ name: "a", answers: ["x", "y"] })).not.toBe(first);
  expect(digest({ name: "a", cookie: "one", answers: ["x"] })).not.toBe(first);
  expect(digest({ name: "a", cookie: "one", answers: ["x", "y"] }, { action: "DELETE" })).not.toBe(first);
});

it.each([
  [
    { name: "a", answers: Array.from({ length: 20 }, () => "x".repeat(4_000)).map((text, i) => text + String(i)) },
    "larger",
  ],
  [{ name: "a", answers: JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) as unknown }, "32 levels"],
  [{ name: "a", answers: [9007199254740993] }, "exactly"],
  [{ name: "a", answers: ["a\0"] }, "NUL"],
])("A value that the log can't hold is refused: %#", (fields, message) => {
  expect(() => judge(fields)).toThrow(message);
});

it("The start tells what is wrong with a declaration", async () => {
  const database = await createDatabase();
  const runtime = await createRuntime(database, [], []);
  const schema = await createSchema([]);
  const twice = defineReportedResource({
    type: "api",
    actions: ["REQUEST"],
    fields: { apiKey: trackSet, x: ignore(" ") },
  });
  const lacking = defineReportedResource({ type: "dns_query", actions: ["REQUEST"], fields: {}, required: ["name"] });
  const found = completeness(schema, [], runtime.databases.write, [lookup, lacking, twice]);
  expect(found).toEqual([
    'The audited resource "dns_query" is declared twice: give one of them another type.',
    `The audited resource "api" has the name of a kind of the log's own: give it another type.`,
    '"dns_query" requires name, but has no such field: remove it, or give it a policy.',
    "api.apiKey looks like a secret but is tracked in clear: write `apiKey: secret`.",
    'api.x is ignored without a reason: write `x: ignore("why")`.',
  ]);
  await runtime.close();
  await database.drop();
});
