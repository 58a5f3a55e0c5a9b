import { makeExecutableSchema } from "@graphql-tools/schema";
import { describe, expect, it } from "vitest";
import type { MutationContext } from "../../src/audit/index.js";
import { useClient } from "../support/client.js";
import { changesOf, readLog } from "../support/log.js";
import { createDatabase, query } from "../support/postgres.js";
import { createRuntime, entryRows } from "../support/runtime.js";
import { createThingTable, thing, thingEntity, thingTypes } from "../support/thing.js";

const client = useClient();

/** The mark that a write leaves, as long as its transaction lives, makes the table unreadable within it. */
async function unreadableOnceWritten<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
  await client.sql(`create function public.readable() returns boolean language plpgsql as $$ begin
    if current_setting('test.unreadable', true) = 'on' then raise exception 'unreadable'; end if;
    return true; end $$`);
  await client.sql(`create function public.mark() returns trigger language plpgsql as
    $$ begin perform set_config('test.unreadable', 'on', true); return null; end $$`);
  await client.sql(`create policy readable on ${table} to public using (public.readable())`);
  await client.sql(`create trigger mark after insert on ${table} for each statement execute function public.mark()`);
  await client.sql(`alter table ${table} enable row level security`);
  try {
    return await work();
  } finally {
    await client.sql(`alter table ${table} disable row level security`);
    await client.sql(`drop trigger mark on ${table}`);
    await client.sql(`drop policy readable on ${table}`);
    await client.sql("drop function public.mark(), public.readable()");
  }
}

const countOf = async (table: string) =>
  (await client.sql<{ count: number }>(`select count(*)::int as count from ${table}`))[0]?.count;

describe("a creation whose row can't be read again", () => {
  it.each<[table: string, type: string, mutation: () => Promise<string>, attempted: string]>([
    [
      "app.device",
      "device",
      () => Promise.resolve(`createDevice(input: { serialNumber: "SN-X", name: "kiosk" }) { id }`),
      "serialNumber",
    ],
    ["app.chat", "chat", () => Promise.resolve(`createChat(input: { title: "Plans" }) { id }`), "title"],
    [`app."group"`, "group", () => Promise.resolve(`createGroup(input: { name: "Research" }) { id }`), "name"],
    [
      "app.group_budget",
      "group_budget",
      async () =>
        `upsertGroupBudget(input: { groupId: "${await client.make(`createGroup(input: { name: "Art" })`)}", spendLimitMicros: 5 }) { groupId }`,
      "spendLimitMicros",
    ],
  ])("leaves no row in %s, and one failure", async (table, type, mutation, attempted) => {
    const field = await mutation();
    const before = await countOf(table);
    const answer = await unreadableOnceWritten(table, () => client.mutate(field));
    expect(answer.data).toEqual({ it: null });
    expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(["AUDIT_UNAVAILABLE"]);
    expect(await countOf(table)).toBe(before);
    const entries = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entries).toMatchObject([
      {
        outcome: "FAILURE",
        action: "CREATE",
        error: { code: "AUDIT_UNAVAILABLE" },
        resource: { type },
        changes: [],
      },
    ]);
    expect(entries[0]?.attempted.map(({ field: name }) => name)).toContain(attempted);
    const again = await client.mutate(field);
    expect(again.errors).toBeUndefined();
  });
});

describe("a creation", () => {
  it("shows what defaults and triggers made of what was asked", async () => {
    await client.sql(`create function public.tidy() returns trigger language plpgsql as
      $$ begin new.name := upper(trim(new.name)); new.firmware_version := coalesce(new.firmware_version, '0.0'); return new; end $$`);
    await client.sql("create trigger tidy before insert on app.device for each row execute function public.tidy()");
    try {
      const { data, requestId } = await client.mutate(
        `createDevice(input: { serialNumber: "SN-T", name: " kiosk " }) { name status firmwareVersion }`,
      );
      expect(data).toEqual({ it: { name: "KIOSK", status: "ACTIVE", firmwareVersion: "0.0" } });
      const [entry] = await readLog(client.server, { requestId: [requestId] });
      expect(changesOf(entry)).toEqual({
        serialNumber: ["ADD", null, "SN-T"],
        name: ["ADD", null, "KIOSK"],
        status: ["ADD", null, "ACTIVE"],
        firmwareVersion: ["ADD", null, "0.0"],
      });
      expect(await client.sql("select name, firmware_version from app.device where serial_number = 'SN-T'")).toEqual([
        { name: "KIOSK", firmware_version: "0.0" },
      ]);
    } finally {
      await client.sql("drop trigger tidy on app.device");
      await client.sql("drop function public.tidy()");
    }
  });

  it("shows what a generated column holds", async () => {
    const database = await createDatabase();
    await createThingTable(database);
    const generated = "alter table app.thing drop note, add note text generated always as (upper(name)) stored";
    await query(database.adminUrl, generated);
    const runtime = await createRuntime(database, [thingEntity as never], [thing]);
    try {
      const make = async (_: unknown, _args: object, { manager }: MutationContext) => {
        const sql = "insert into app.thing (tenant_id, name) values ('acme', 'kiosk') returning id";
        return (await manager.query<{ id: string }[]>(sql))[0];
      };
      const schema = makeExecutableSchema({ typeDefs: thingTypes, resolvers: { Mutation: { make } } });
      const { requestId, errors } = await runtime.run(runtime.apply(schema), "mutation { make { id } }");
      expect(errors).toBeUndefined();
      const [row] = await entryRows(database, requestId);
      expect(row?.changes).toEqual([
        { field: "name", op: "ADD", new: "kiosk" },
        { field: "note", op: "ADD", new: "KIOSK" },
        { field: "tags", op: "ADD", new: [] },
        { field: "members", op: "ADD", new: [] },
      ]);
    } finally {
      await runtime.close();
      await database.drop();
    }
  });
});
