import { describe, expect, it } from "vitest";
import { insertOf } from "../database/support/entry.js";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";

const client = useClient();
const newDevice = () => client.make(`createDevice(input: { serialNumber: "${Math.random()}", name: "kiosk" })`);

/** What the log says of the resources of these entries, one line a kind of answer. */
async function fateOf(filter: Readonly<Record<string, unknown>>, tenant: string | null = "acme") {
  const entries = await readLog(client.server, filter, tenant);
  expect(entries.length).toBeGreaterThan(0);
  return [...new Set(entries.map(({ resource }) => JSON.stringify([resource?.isDeleted, resource?.link])))].map(
    (text) => JSON.parse(text) as unknown,
  );
}

describe("whether a resource is deleted, as its entries say", () => {
  it("is false while it stands, and true in every entry of it once it is gone", async () => {
    const id = await newDevice();
    expect(await fateOf({ resourceId: [id] })).toEqual([[false, expect.stringContaining(id)]]);
    await client.mutate(`deleteDevice(input: { id: "${id}" }) { id }`);
    expect(await fateOf({ resourceId: [id] })).toEqual([[true, null]]);
  });

  it("is true of what was deleted by its group or by a chat above it", async () => {
    const group = await client.make(`createGroup(input: { name: "Research" })`);
    await client.mutate(`upsertGroupBudget(input: { groupId: "${group}", spendLimitMicros: 1 }) { groupId }`);
    const parent = await client.make(`createChat(input: { title: "Parent" })`);
    const child = await client.make(`createChat(input: { title: "Child", parentChatId: "${parent}" })`);
    expect(await fateOf({ resourceId: [group, child] })).toEqual(
      expect.arrayContaining([
        [false, expect.stringContaining(group)],
        [false, expect.stringContaining(child)],
      ]),
    );
    await client.mutate(`deleteGroup(input: { id: "${group}" }) { id }`);
    await client.mutate(`deleteChat(input: { id: "${parent}" }) { id }`);
    expect(await fateOf({ resourceId: [group], resourceType: ["group_budget"] })).toEqual([[true, null]]);
    expect(await fateOf({ resourceId: [child] })).toEqual([[true, null]]);
  });

  it("is false of what the auditor itself can't read, and tells it nothing else", async () => {
    const id = await newDevice();
    const token = await client.server.token({ subject: "site-auditor", roles: ["platform_auditor"] });
    const read = await client.server.request(`{ device(id: "${id}") { name } }`, { token });
    expect(read.data).toEqual({ device: null });
    expect(read.errors?.map(({ extensions }) => extensions.code)).toEqual(["FORBIDDEN"]);
    expect(await fateOf({ resourceId: [id], tenantId: ["acme"] }, null)).toEqual([
      [false, expect.stringContaining(id)],
    ]);
  });

  it("says the same of a foreign tenant's resource as of none: it is the own tenant's that is asked for", async () => {
    const id = await newDevice();
    const other = await client.server.token({ subject: "u-2", tenant: "globex", roles: ["admin"] });
    const attempt = await client.server.request(
      `mutation { updateDevice(input: { id: "${id}", name: "mine" }) { id } }`,
      { token: other },
    );
    expect(attempt.errors?.map(({ extensions }) => extensions.code)).toEqual(["NOT_FOUND"]);
    expect(await fateOf({ resourceId: [id] }, "globex")).toEqual([[true, null]]);
    expect(await fateOf({ resourceId: [id] })).toEqual([[false, expect.stringContaining(id)]]);
  });

  it("is null where it can't be found out, and neither true nor false, and the page comes all the same", async () => {
    const device = await newDevice();
    const group = await client.make(`createGroup(input: { name: "Research" })`);
    await client.sql("revoke select on app.device from app_api");
    try {
      expect(await fateOf({ resourceId: [device] })).toEqual([[null, null]]);
      expect(await fateOf({ resourceId: [group] })).toEqual([[false, expect.stringContaining(group)]]);
    } finally {
      await client.sql("grant select on app.device to app_api");
    }
    expect(await fateOf({ resourceId: [device] })).toEqual([[false, expect.stringContaining(device)]]);
  });
});

describe("an entry of a kind of resource that the code no longer has", () => {
  it("lists, reads and is found by each of its values, and nobody says that it is deleted", async () => {
    const { text, values } = insertOf({
      tenant_id: "acme",
      resource_type: "coffee_machine",
      resource_id: "machine-7",
      resource_label: "Third floor",
      event_type: "coffee_machine.deleted",
      action: "DELETE",
      operation: "scrapCoffeeMachine",
      changes: JSON.stringify([{ field: "beans", op: "REMOVE", old: "arabica" }]),
    });
    const [row] = await client.sql<{ id: string }>(text, values);
    const id = row?.id ?? "";
    for (const filter of [
      { resourceType: ["coffee_machine"] },
      { eventType: ["coffee_machine.deleted"] },
      { operation: ["scrapCoffeeMachine"] },
      { changedField: ["beans"] },
      { resourceId: ["machine-7"] },
      { resourceLabel: ["third FLOOR"] },
    ])
      for (const tenant of ["acme", null]) {
        const entries = await readLog(client.server, filter, tenant);
        expect(entries.map((entry) => entry.id)).toEqual([id]);
      }
    const [entry] = await readLog(client.server, { resourceType: ["coffee_machine"] });
    expect(entry).toMatchObject({
      eventType: "coffee_machine.deleted",
      description: 'Ada deleted coffee machine "Third floor".',
      resource: { type: "coffee_machine", id: "machine-7", label: "Third floor", link: null, isDeleted: null },
      changes: [{ field: "beans", op: "REMOVE", old: "arabica", new: null }],
    });
    const token = await client.server.token({ subject: "auditor", tenant: "acme", roles: ["auditor"] });
    const { data } = await client.server.request(`{ auditEntry(id: "${id}") { eventType } }`, { token });
    expect(data).toEqual({ auditEntry: { eventType: "coffee_machine.deleted" } });
  });
});
