import { beforeAll, describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";

const client = useClient();

describe("a filter with several conditions", () => {
  let id: string;

  beforeAll(async () => {
    id = await client.make(`createDevice(input: { serialNumber: "SN-F", name: "one" })`);
    await client.mutate(`updateDevice(input: { id: "${id}", name: "two" }) { id }`);
    await client.mutate(`updateDevice(input: { id: "${id}", status: SUSPENDED }) { id }`);
    await client.mutate(`updateDevice(input: { id: "${id}", name: null }) { id }`);
    await client.make(`createGroup(input: { name: "two" })`);
    await client.mutate(`deleteDevice(input: { id: "${id}" }) { id }`);
  });

  const found = async (filter: Readonly<Record<string, unknown>>) =>
    (await readLog(client.server, filter)).map(({ eventType, changes }) => [
      eventType,
      changes.map(({ field }) => field),
    ]);

  it("finds what fulfils all of them, each value of a list being enough", async () => {
    const updates = [
      ["device.updated", ["name"]],
      ["device.updated", ["status"]],
    ];
    expect(await found({ resourceId: [id], action: ["UPDATE"], outcome: ["SUCCESS"] })).toEqual(updates);
    expect(await found({ operation: ["updateDevice"], outcome: ["FAILURE"] })).toEqual([["device.update_failed", []]]);
    expect(await found({ changedField: ["name"], action: ["UPDATE"] })).toEqual([updates[0]]);
    expect(await found({ changedField: ["name"], resourceLabel: ["TWO"], resourceType: ["device", "group"] })).toEqual([
      ["device.updated", ["name"]],
      ["group.created", ["name"]],
      ["device.deleted", ["serialNumber", "name", "status"]],
    ]);
    expect(
      await found({ actorId: ["u-1"], errorCode: ["BAD_USER_INPUT"], eventType: ["device.update_failed"] }),
    ).toHaveLength(1);
    expect(await found({ actorName: ["Sample Admin"], resourceType: ["group"], action: ["DELETE"] })).toEqual([]);
  });
});
