import { describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";

const client = useClient();

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const missing = "00000000-0000-4000-8000-000000000000";

describe("the answer and the log", () => {
  it("tell of two operations in one document, the second of which fails", async () => {
    const document = `mutation {
      first: createGroup(input: { name: "kept" }) { id name }
      second: deleteGroup(input: { id: "${missing}" }) { id }
    }`;
    const answer = await client.server.request(document, { token: client.token });
    // Errors of fields answer 200: it is no outcome.
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ first: { id: expect.stringMatching(uuid), name: "kept" }, second: null });
    expect(answer.errors?.map(({ path, extensions }) => [path, extensions.code])).toEqual([[["second"], "NOT_FOUND"]]);
    const entries = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entries.map(({ operation, outcome, error }) => [operation, outcome, error?.code])).toEqual([
      ["createGroup", "SUCCESS", undefined],
      ["deleteGroup", "FAILURE", "NOT_FOUND"],
    ]);
    expect(answer.extensions?.audit).toEqual(
      entries.map(({ id, sessionId, sequenceNumber }, index) => ({
        path: [index === 0 ? "first" : "second"],
        entryIds: [id],
        sessionId,
        sequenceNumber,
      })),
    );
    expect(Number(entries[1]?.sequenceNumber) - Number(entries[0]?.sequenceNumber)).toBe(1);
  });

  it("tell of a change that is committed though its answer can't be given", async () => {
    const id = await client.make('createDevice(input: { serialNumber: "SN-1", name: "before" })');
    await client.sql("alter table app.device drop constraint device_status");
    await client.sql("update app.device set status = 'BROKEN' where id = $1", [id]);
    const answer = await client.mutate(`updateDevice(input: { id: "${id}", name: "after" }) { name status }`);
    expect([answer.status, answer.data]).toEqual([200, { it: null }]);
    expect(answer.errors?.map(({ path, extensions }) => [path, extensions])).toEqual([
      [["it", "status"], { code: "INTERNAL" }],
    ]);
    expect(answer.errors?.[0]?.message).toMatch(
      /^Something unforeseen happened\. Its id in the server's log is [0-9a-f-]{36}\.$/,
    );
    const entries = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entries.map(({ outcome, changes }) => [outcome, changes[0]?.new])).toEqual([["SUCCESS", "after"]]);
    expect(answer.extensions?.audit?.map(({ entryIds }) => entryIds)).toEqual([[entries[0]?.id]]);
    const errorId = answer.errors?.[0]?.message.slice(-37, -1) ?? "none";
    const lines = client.server
      .stderr()
      .split("\n")
      .filter((line) => line.includes(errorId));
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(["error", "warn"]);
    expect(lines[0]).toContain(answer.requestId);
    expect(client.server.stderr()).not.toContain("BROKEN");
  });

  it("name a request by the server's id, and keep the client's beside it", async () => {
    const headers = { "x-request-id": missing, "x-forwarded-for": "203.0.113.9" };
    const answer = await client.server.request('mutation { createGroup(input: { name: "named" }) { id } }', {
      token: client.token,
      headers,
    });
    expect(answer.requestId).toMatch(uuid);
    expect(answer.requestId).not.toBe(missing);
    const [entry] = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entry).toMatchObject({ requestId: answer.requestId, clientRequestId: missing, ip: "127.0.0.1" });
  });
});
