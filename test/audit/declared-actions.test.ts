import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { beforeAll, describe, expect, it } from "vitest";
import { mutationDecisions } from "../../src/audit/index.js";
import { runEveryMutation } from "../support/all-mutations.js";
import { useClient } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";

const decisions = mutationDecisions(buildSchema(readFileSync("schema.graphql", "utf8")));

/** Each action that a mutation declares, as `mutation: resource ACTION`. */
const declared = decisions
  .flatMap(({ name, audited }) => audited?.action.map((action) => `${name}: ${audited.resource} ${action}`) ?? [])
  .sort();

/** What a mutation does beside what it names, which no directive declares. */
const broughtAbout = [
  "archiveChats: chat UPDATE",
  "deleteChat: chat DELETE",
  "deleteGroup: group_budget DELETE",
  "updateChat: chat UPDATE",
];

const distinct = (texts: readonly string[]) => [...new Set(texts)].sort();
const done = ({ operation, resource, action }: ReadEntry) => `${operation}: ${resource?.type} ${action}`;
const pair = (text: string) => text.replace(/^.*: /, "");

const client = useClient();

describe("the actions that mutations declare", () => {
  let entries: readonly ReadEntry[];

  beforeAll(async () => {
    await runEveryMutation(client.server, client.token);
    entries = await readLog(client.server, { outcome: ["SUCCESS"] });
  });

  it("are those that they do, no more and no less, mutation by mutation", () => {
    expect(distinct(entries.filter(({ causeId }) => causeId === null).map(done))).toEqual(declared);
  });

  it("are all that happens to each kind of resource, also where another's change brings it about", () => {
    expect(distinct(entries.map((entry) => pair(done(entry))))).toEqual(distinct(declared.map(pair)));
    expect(distinct(entries.filter(({ causeId }) => causeId !== null).map(done))).toEqual(broughtAbout);
  });

  it("are none for a mutation that leaves no entry, which was run all the same", async () => {
    expect(decisions.filter(({ audited }) => !audited).map(({ name }) => name)).toEqual(["deviceHeartbeat"]);
    await expect(readLog(client.server, { operation: ["deviceHeartbeat"] })).rejects.toThrow("deviceHeartbeat");
  });
});
