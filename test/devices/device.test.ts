import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changesOf, readLog } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";
import { callDevice, deviceFields, type DeviceMutation, type ReadDevice } from "./device-calls.js";

describe("a device", () => {
  let database: TestDatabase;
  let server: TestServer;
  let admin: string;
  let member: string;
  let auditor: string;
  let elsewhere: string;

  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ database });
    admin = await server.token({ tenant: "acme", roles: ["admin"] });
    member = await server.token({ tenant: "acme", roles: ["member"] });
    auditor = await server.token({ tenant: "acme", roles: ["auditor"] });
    elsewhere = await server.token({ tenant: "other", roles: ["admin"] });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  const call = (mutation: DeviceMutation, input: Readonly<Record<string, unknown>>, token = admin) =>
    callDevice(server, token, mutation, input);
  const create = async (input: Readonly<Record<string, unknown>> = {}): Promise<ReadDevice> => {
    const { device, error } = await call("createDevice", { serialNumber: randomUUID(), name: "Bin", ...input });
    if (!device) throw new Error(`The device could not be made: ${JSON.stringify(error)}`);
    return device;
  };
  const entriesOf = (requestId: string, tenant = "acme") => readLog(server, { requestId: [requestId] }, tenant);

  describe("as it is created", () => {
    it("answers what the database made of it, and the entry has every field that isn't null", async () => {
      const serialNumber = randomUUID();
      const input = { serialNumber, name: "Grain-Bin-01", firmwareVersion: "1.2", provisioningSecret: "s" };
      const { device, requestId } = await call("createDevice", input);
      expect(device).toMatchObject({ tenantId: "acme", serialNumber, name: "Grain-Bin-01", firmwareVersion: "1.2" });
      expect(device).toMatchObject({ status: "ACTIVE", lastSeenAt: null });
      const [entry, ...more] = await entriesOf(requestId);
      expect(more).toEqual([]);
      expect(entry).toMatchObject({ eventType: "device.created", operation: "createDevice", causeId: null });
      expect(entry?.resource).toMatchObject({
        type: "device",
        id: device?.id,
        label: "Grain-Bin-01",
        isDeleted: false,
      });
      expect(changesOf(entry)).toEqual({
        serialNumber: ["ADD", null, serialNumber],
        name: ["ADD", null, "Grain-Bin-01"],
        status: ["ADD", null, "ACTIVE"],
        firmwareVersion: ["ADD", null, "1.2"],
        provisioningSecret: ["ADD", "secret"],
      });
    });

    it("takes null for what can be empty, which is no change", async () => {
      const serialNumber = randomUUID();
      const input = { serialNumber, name: "Bin", firmwareVersion: null, provisioningSecret: null };
      const { requestId } = await call("createDevice", input);
      const [entry] = await entriesOf(requestId);
      expect(Object.keys(changesOf(entry))).toEqual(["serialNumber", "name", "status"]);
    });

    it("is refused with a serial number that another of its tenant has, and not with one of another tenant's", async () => {
      const { serialNumber } = await create();
      const again = await call("createDevice", { serialNumber, name: "Twin" });
      expect(again.device).toBeNull();
      expect(again.error?.extensions.code).toBe("CONFLICT");
      expect(again.error?.message).toContain("serial number");
      const [entry, ...more] = await entriesOf(again.requestId);
      expect(more).toEqual([]);
      expect(entry).toMatchObject({ eventType: "device.creation_failed", error: { code: "CONFLICT" }, changes: [] });
      const foreign = await call("createDevice", { serialNumber, name: "Twin" }, elsewhere);
      expect(foreign.device).toMatchObject({ tenantId: "other", serialNumber });
      const rows = await query(database.adminUrl, "select tenant_id from app.device where serial_number = $1", [
        serialNumber,
      ]);
      expect(rows.map((row) => row["tenant_id"]).sort()).toEqual(["acme", "other"]);
    });

    it("is made once, where many ask for one serial number at a time", async () => {
      const serialNumber = randomUUID();
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => call("createDevice", { serialNumber, name: "Bin" })),
      );
      const codes = answers.map(({ error }) => error?.extensions.code ?? "made").sort();
      expect(codes).toEqual([...Array<string>(9).fill("CONFLICT"), "made"]);
    });
  });

  describe("as it is updated", () => {
    it("records exactly what changed", async () => {
      const { id } = await create({ name: "Bin" });
      const input = { id, name: "Silo", status: "SUSPENDED", firmwareVersion: "2.0", provisioningSecret: "s" };
      const { device, requestId } = await call("updateDevice", input);
      expect(device).toMatchObject({ id, name: "Silo", status: "SUSPENDED", firmwareVersion: "2.0" });
      const [entry] = await entriesOf(requestId);
      expect(entry).toMatchObject({ eventType: "device.updated", resource: { id, label: "Silo" } });
      expect(changesOf(entry)).toEqual({
        name: ["REPLACE", "Bin", "Silo"],
        status: ["REPLACE", "ACTIVE", "SUSPENDED"],
        firmwareVersion: ["REPLACE", null, "2.0"],
        provisioningSecret: ["REPLACE", "secret"],
      });
    });

    it("keeps what is absent, clears what is null, and tells both from an empty text", async () => {
      const { id } = await create({ firmwareVersion: "1.0", provisioningSecret: "s" });
      const steps = [
        [{}, {}],
        [{ firmwareVersion: "" }, { firmwareVersion: ["REPLACE", "1.0", ""] }],
        [{ firmwareVersion: null }, { firmwareVersion: ["REPLACE", "", null] }],
        [{ firmwareVersion: null, provisioningSecret: "s" }, {}],
        [{ provisioningSecret: null }, { provisioningSecret: ["REPLACE", "secret"] }],
      ] as const;
      for (const [input, changes] of steps) {
        const { requestId, error } = await call("updateDevice", { id, ...input });
        expect(error).toBeUndefined();
        expect(changesOf((await entriesOf(requestId))[0])).toEqual(changes);
      }
    });

    it("is found by an id in capitals, and logged by the one that the database prints", async () => {
      const { id } = await create();
      const { device, requestId } = await call("updateDevice", { id: id.toUpperCase(), name: "Silo" });
      expect(device?.id).toBe(id);
      expect((await entriesOf(requestId))[0]?.resource?.id).toBe(id);
    });
  });

  it("answers as it last was when it is deleted, and its entry has what it held", async () => {
    const { id, serialNumber } = await create({ name: "Bin", provisioningSecret: "s" });
    const { device, requestId } = await call("deleteDevice", { id });
    expect(device).toMatchObject({ id, serialNumber, name: "Bin", status: "ACTIVE" });
    const [entry] = await entriesOf(requestId);
    expect(entry).toMatchObject({ eventType: "device.deleted", resource: { id, label: "Bin", isDeleted: true } });
    expect(changesOf(entry)).toEqual({
      serialNumber: ["REMOVE", serialNumber, null],
      name: ["REMOVE", "Bin", null],
      status: ["REMOVE", "ACTIVE", null],
      provisioningSecret: ["REMOVE", "secret"],
    });
    expect(await query(database.adminUrl, "select from app.device where id = $1", [id])).toEqual([]);
    expect((await call("deleteDevice", { id })).error?.extensions.code).toBe("NOT_FOUND");
  });

  it.each<[DeviceMutation, Readonly<Record<string, unknown>>, string]>([
    ["createDevice", { serialNumber: "", name: "Bin" }, "input.serialNumber"],
    ["createDevice", { serialNumber: "9".repeat(201), name: "Bin" }, "input.serialNumber"],
    ["createDevice", { serialNumber: "never", name: "" }, "input.name"],
    ["createDevice", { serialNumber: "never", name: "Bin", firmwareVersion: "9".repeat(201) }, "input.firmwareVersion"],
    ["createDevice", { serialNumber: "never", name: "Bin", provisioningSecret: "" }, "input.provisioningSecret"],
    ["createDevice", { serialNumber: "never", name: "nu\0l" }, "input.name"],
    ["updateDevice", { name: null }, "input.name"],
    ["updateDevice", { name: "" }, "input.name"],
    ["updateDevice", { name: "\u{1F33E}".repeat(201) }, "input.name"],
    ["updateDevice", { status: null }, "input.status"],
    ["updateDevice", { provisioningSecret: "9".repeat(1001) }, "input.provisioningSecret"],
    ["updateDevice", { id: "7" }, "input.id"],
    ["deleteDevice", { id: "7" }, "input.id"],
    ["deviceHeartbeat", { id: "7" }, "input.id"],
  ])("%s refuses %j, naming %s", async (mutation, input, field) => {
    const known = mutation === "createDevice" ? {} : { id: (await create()).id };
    const { device, error, requestId } = await call(mutation, { ...known, ...input });
    expect(device).toBeNull();
    expect(error?.extensions.code).toBe("BAD_USER_INPUT");
    expect(error?.extensions.fields?.map((problem) => problem.field)).toEqual([field]);
    const outcomes = (await entriesOf(requestId)).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(mutation === "deviceHeartbeat" ? [] : ["FAILURE"]);
    expect(await query(database.adminUrl, "select from app.device where serial_number = 'never'")).toEqual([]);
  });

  it("takes 200 characters of a name, whatever each takes to write", async () => {
    const name = "\u{1F33E}".repeat(200);
    expect((await create({ name })).name).toBe(name);
  });

  it("keeps its provisioning secret to itself", async () => {
    const canary = `canary-${randomUUID()}`;
    const { id, serialNumber } = await create({ provisioningSecret: canary });
    await call("updateDevice", { id, provisioningSecret: `${canary}-2` });
    await call("updateDevice", { id, provisioningSecret: canary, name: "" });
    await call("createDevice", { serialNumber, name: "Twin", provisioningSecret: canary });
    const asked = await server.request(`{ device(id: "${id}") { provisioningSecret } }`, { token: admin });
    expect(asked.errors).toHaveLength(1);
    const [row] = await query(database.adminUrl, "select provisioning_secret from app.device where id = $1", [id]);
    expect(row?.["provisioning_secret"]).toBe(`${canary}-2`);
    const entries = await query(database.adminUrl, "select entry::text as text from audit.entry as entry");
    expect(entries.length).toBeGreaterThanOrEqual(4);
    const read = await readLog(server, { resourceType: ["device"] });
    const told = [JSON.stringify(entries), JSON.stringify(read), server.stdout(), server.stderr()].join("\n");
    expect(told).toContain("provisioningSecret");
    expect(told).not.toContain(canary);
  });

  describe("that is heard of", () => {
    const minutesFromNow = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();

    it("shows when, to the microsecond, and never goes back", async () => {
      const { id, updatedAt } = await create();
      const later = await call("deviceHeartbeat", { id, at: "2026-01-02T03:04:05.123456+01:00" });
      expect(later.device).toMatchObject({ id, lastSeenAt: "2026-01-02T02:04:05.123456Z", updatedAt });
      const earlier = await call("deviceHeartbeat", { id, at: "2026-01-02T02:04:05.123455Z" });
      expect(earlier.device?.lastSeenAt).toBe("2026-01-02T02:04:05.123456Z");
    });

    it.each([{}, { at: null }])("is heard of now, where %j names no time", async (input) => {
      const { id, createdAt } = await create();
      const { device } = await call("deviceHeartbeat", { id, ...input });
      expect(device?.lastSeenAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(device?.lastSeenAt?.localeCompare(createdAt)).toBe(1);
    });

    it("may be a few minutes ahead, and not more", async () => {
      const { id } = await create();
      expect((await call("deviceHeartbeat", { id, at: minutesFromNow(4) })).error).toBeUndefined();
      const { error } = await call("deviceHeartbeat", { id, at: minutesFromNow(6) });
      expect(error?.extensions).toMatchObject({ code: "BAD_USER_INPUT", fields: [{ field: "input.at" }] });
    });

    it("leaves no entry, and no other mutation's shows it", async () => {
      const { id } = await create();
      const heartbeat = await call("deviceHeartbeat", { id });
      expect(heartbeat.device?.lastSeenAt).not.toBeNull();
      expect(await entriesOf(heartbeat.requestId)).toEqual([]);
      const { requestId } = await call("updateDevice", { id, name: "Silo" });
      expect(changesOf((await entriesOf(requestId))[0])).toEqual({ name: ["REPLACE", "Bin", "Silo"] });
      const deletion = await call("deleteDevice", { id });
      expect(changesOf((await entriesOf(deletion.requestId))[0])).not.toHaveProperty("lastSeenAt");
    });

    it("has to be a device of the caller's tenant, who has to be an admin", async () => {
      const { id } = await create();
      expect((await call("deviceHeartbeat", { id: randomUUID() })).error?.extensions.code).toBe("NOT_FOUND");
      expect((await call("deviceHeartbeat", { id }, elsewhere)).error?.extensions.code).toBe("NOT_FOUND");
      expect((await call("deviceHeartbeat", { id }, member)).error?.extensions.code).toBe("FORBIDDEN");
      const [row] = await query(database.adminUrl, "select last_seen_at from app.device where id = $1", [id]);
      expect(row).toEqual({ last_seen_at: null });
    });
  });

  it("is changed by its tenant's admins alone", async () => {
    const { id } = await create({ name: "Bin" });
    for (const [token, code, outcome, tenant] of [
      [member, "FORBIDDEN", "DENIED", "acme"],
      [auditor, "FORBIDDEN", "DENIED", "acme"],
      [elsewhere, "NOT_FOUND", "FAILURE", "other"],
    ] as const)
      for (const mutation of ["updateDevice", "deleteDevice"] as const) {
        const { error, requestId } = await call(
          mutation,
          { id, ...(mutation === "updateDevice" && { name: "X" }) },
          token,
        );
        expect(error?.extensions.code).toBe(code);
        const entries = await entriesOf(requestId, tenant);
        expect(entries.map((entry) => [entry.outcome, entry.resource?.id, entry.resource?.label])).toEqual([
          [outcome, id, null],
        ]);
      }
    const [row] = await query(database.adminUrl, "select name from app.device where id = $1", [id]);
    expect(row).toEqual({ name: "Bin" });
  });

  describe("as it is read", () => {
    const read = (id: string, token: string) =>
      server.request<{ device: ReadDevice | null }>(`query ($id: ID!) { device(id: $id) { ${deviceFields} } }`, {
        variables: { id },
        token,
      });

    it("is seen by admins and auditors of its tenant, and by no one else", async () => {
      const device = await create();
      expect((await read(device.id, admin)).data?.device).toEqual(device);
      expect((await read(device.id.toUpperCase(), auditor)).data?.device).toEqual(device);
      expect((await read(device.id, elsewhere)).data?.device).toBeNull();
      expect((await read(device.id, member)).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
      expect((await read("7", admin)).errors?.[0]?.extensions).toMatchObject({
        code: "BAD_USER_INPUT",
        fields: [{ field: "id" }],
      });
    });

    interface Page {
      readonly devices: {
        readonly nodes: readonly { readonly id: string }[];
        readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
      };
    }
    const page = async (after: string | null, token: string): Promise<Page["devices"]> => {
      const { data } = await server.request<Page>(
        `query ($after: String) {
          devices(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
        }`,
        { variables: { after }, token },
      );
      if (!data) throw new Error("The page could not be read.");
      return data.devices;
    };

    it("comes in pages of its tenant's, each once", async () => {
      const token = await server.token({ tenant: "pages", roles: ["admin", "auditor"] });
      const made: string[] = [];
      for (let count = 0; count < 5; count++) {
        const { device } = await call("createDevice", { serialNumber: String(count), name: "Bin" }, token);
        made.push(device?.id ?? "");
      }
      const pages = [await page(null, token)];
      for (let last = pages[0]; last?.pageInfo.hasNextPage; last = pages.at(-1))
        pages.push(await page(last.pageInfo.endCursor, token));
      expect(pages.map(({ nodes }) => nodes.length)).toEqual([2, 2, 1]);
      expect(pages.flatMap(({ nodes }) => nodes.map(({ id }) => id))).toEqual([...made].sort());
    });

    it.each(["first: 0", "first: 201", "first: -1", 'after: "nonsense"'])("refuses a page of %s", async (asked) => {
      const { errors } = await server.request(`{ devices(${asked}) { nodes { id } } }`, { token: admin });
      expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    });
  });
});
