import { afterEach, describe, expect, it } from "vitest";
import { holdTransaction, useClient } from "../support/client.js";
import { changesOf, readLog } from "../support/log.js";
import { untilNothingWaits } from "../support/spool.js";
import { until } from "../support/until.js";

const client = useClient();
const newDevice = (name = "before") =>
  client.make(`createDevice(input: { serialNumber: "${Math.random()}", name: "${name}" })`);
const nameOf = async (id: string) =>
  (await client.sql<{ name: string }>("select name from app.device where id = $1", [id]))[0]?.name;
const rename = (id: string, name: string) =>
  client.mutate(`updateDevice(input: { id: "${id}", name: "${name}" }) { name }`);
const code = ({ errors }: Awaited<ReturnType<typeof rename>>) => errors?.[0]?.extensions.code;

/** Makes a trigger function in the test's own database, attached for the time of the work. */
async function withTrigger<Result>(
  body: string,
  attach: string,
  table: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.sql(`create function public.meddle() returns trigger language plpgsql as $$ begin ${body} end $$`);
  await client.sql(`${attach} execute function public.meddle()`);
  try {
    return await work();
  } finally {
    await client.sql(`drop trigger meddle on ${table}`);
    await client.sql("drop function public.meddle()");
  }
}

describe("what the database does on its own", () => {
  it("is in the entry, the response and the row alike", async () => {
    const id = await newDevice();
    const attach = "create trigger meddle before update on app.device for each row";
    await withTrigger("new.name := trim(new.name); return new;", attach, "app.device", async () => {
      const { data, requestId } = await rename(id, "  kiosk  ");
      expect(data).toEqual({ it: { name: "kiosk" } });
      const [entry] = await readLog(client.server, { requestId: [requestId] });
      expect(changesOf(entry)).toEqual({ name: ["REPLACE", "before", "kiosk"] });
      expect(await nameOf(id)).toBe("kiosk");
    });
  });
});

describe("a change that can't be committed", () => {
  it("leaves no success: a constraint that fails at COMMIT is one failure", async () => {
    const id = await newDevice();
    const attach =
      "create constraint trigger meddle after update on app.device deferrable initially deferred for each row";
    const body = "raise exception 'no' using errcode = 'unique_violation'; return null;";
    await withTrigger(body, attach, "app.device", async () => {
      const answer = await rename(id, "phantom");
      expect(code(answer)).toBe("CONFLICT");
      const entries = await readLog(client.server, { requestId: [answer.requestId] });
      expect(entries.map(({ outcome, error }) => [outcome, error?.code])).toEqual([["FAILURE", "CONFLICT"]]);
      expect(await nameOf(id)).toBe("before");
    });
  });

  it("leaves one failure where COMMIT ran out of room, once it is known that nothing stands", async () => {
    const id = await newDevice();
    const attach =
      "create constraint trigger meddle after update on app.device deferrable initially deferred for each row";
    const body = "raise exception 'no room' using errcode = 'disk_full'; return null;";
    await withTrigger(body, attach, "app.device", async () => {
      const answer = await rename(id, "phantom");
      expect(code(answer)).toBe("UNAVAILABLE");
      const entries = await readLog(client.server, { requestId: [answer.requestId] });
      expect(entries.map(({ outcome, error }) => [outcome, error?.code])).toEqual([["FAILURE", "UNAVAILABLE"]]);
      expect(await nameOf(id)).toBe("before");
    });
  });

  it("undoes all of a mutation whose second part is refused, and claims none of it", async () => {
    const id = await client.make(`createChat(input: { title: "before" })`);
    const attach = "create trigger meddle before update on app.chat for each row when (new.archived)";
    const body = "raise exception 'no' using errcode = 'check_violation'; return new;";
    await withTrigger(body, attach, "app.chat", async () => {
      const answer = await client.mutate(`updateChat(input: { id: "${id}", title: "after", archived: true }) { id }`);
      expect(code(answer)).toBe("BAD_USER_INPUT");
      const entries = await readLog(client.server, { requestId: [answer.requestId] });
      expect(entries).toMatchObject([{ outcome: "FAILURE", changes: [] }]);
      expect(entries[0]?.attempted.map(({ field, value }) => [field, value])).toEqual([
        ["title", "after"],
        ["archived", true],
      ]);
      expect(await client.sql("select title from app.chat where id = $1", [id])).toEqual([{ title: "before" }]);
    });
  });

  it("is rolled back where the state after it can't be read", async () => {
    const id = await newDevice();
    // The write sets a mark that lives as long as its transaction, and the mark makes the table unreadable.
    await client.sql(`create function public.readable() returns boolean language plpgsql as
      $$ begin if current_setting('test.unreadable', true) = 'on' then raise exception 'unreadable'; end if; return true; end $$`);
    await client.sql("create policy readable on app.device to public using (public.readable())");
    await client.sql("alter table app.device enable row level security");
    const attach = "create trigger meddle after update on app.device for each statement";
    try {
      await withTrigger(
        "perform set_config('test.unreadable', 'on', true); return null;",
        attach,
        "app.device",
        async () => {
          const answer = await rename(id, "unseen");
          expect(code(answer)).toBe("AUDIT_UNAVAILABLE");
          const entries = await readLog(client.server, { requestId: [answer.requestId] });
          expect(entries.map(({ outcome, error }) => [outcome, error?.code])).toEqual([
            ["FAILURE", "AUDIT_UNAVAILABLE"],
          ]);
        },
      );
    } finally {
      await client.sql("alter table app.device disable row level security");
      await client.sql("drop policy readable on app.device");
      await client.sql("drop function public.readable()");
    }
    expect(await nameOf(id)).toBe("before");
  });
});

/** As the log's owner; again where it and what the server writes meanwhile wait for each other. */
async function asOwner(sql: string): Promise<void> {
  const what = "the log's owner has done it";
  await until(() => client.sql(`set role audit_guard; ${sql}`).then(() => true), { what, deadline: 20_000 });
}

/** Has the body carried out before each entry's INSERT, for as long as the work takes. */
async function withEachEntry(body: string, when: string, work: () => Promise<void>): Promise<void> {
  await client.sql("grant create on schema public to audit_guard");
  await asOwner(`create function public.interfere() returns trigger language plpgsql as $$ ${body} $$;
    create trigger a_interferer before insert on audit.entry for each row ${when} execute function public.interfere()`);
  try {
    await work();
  } finally {
    await asOwner("drop trigger a_interferer on audit.entry; drop function public.interfere()");
  }
}

describe("a log that can't be written", () => {
  // What couldn't be written comes later, and what follows comes behind it.
  afterEach(() => untilNothingWaits(client.server));

  it("refuses every audited mutation while reads go on, and says so", async () => {
    const id = await newDevice();
    await client.sql("set role audit_guard; revoke insert on audit.entry from audit_writer");
    const columns = await client.sql<{ list: string }>(
      `select string_agg(quote_ident(attname), ', ') as list from pg_attribute
       where attrelid = 'audit.entry'::regclass and attnum > 0 and attname not in
         ('id', 'occurred_at', 'resource_label_folded', 'xact_id', 'database_user', 'application_name')`,
    );
    try {
      const answers = [
        await rename(id, "unlogged"),
        await client.mutate(`createGroup(input: { name: "unlogged" }) { id }`),
        await client.mutate(`deleteDevice(input: { id: "${id}" }) { id }`),
      ];
      expect(answers.map(code)).toEqual(Array(3).fill("AUDIT_UNAVAILABLE"));
      const read = await client.server.request(`{ device(id: "${id}") { name } }`, { token: client.token });
      expect(read.data).toEqual({ device: { name: "before" } });
    } finally {
      await client.sql(`set role audit_guard; grant insert (${columns[0]?.list}) on audit.entry to audit_writer`);
    }
    expect(code(await rename(id, "logged"))).toBeUndefined();
  });

  it("can't swallow an entry without its change: what was meant to go with it is rolled back", async () => {
    const id = await newDevice();
    const swallow = "begin return null; end";
    await withEachEntry(swallow, "", async () => {
      const answer = await rename(id, "unlogged");
      expect(code(answer)).toBe("AUDIT_UNAVAILABLE");
      expect(await nameOf(id)).toBe("before");
    });
  });

  it("for want of room refuses the change, with its failure, though COMMIT was sent along", async () => {
    const id = await newDevice();
    const refuse = "begin raise exception 'no room' using errcode = 'disk_full'; end";
    await withEachEntry(refuse, "when (new.outcome = 'SUCCESS')", async () => {
      const answer = await rename(id, "unlogged");
      expect(code(answer)).toBe("AUDIT_UNAVAILABLE");
      const select = "select outcome, error_code from audit.entry where request_id = $1";
      expect(await client.sql(select, [answer.requestId])).toEqual([
        { outcome: "FAILURE", error_code: "AUDIT_UNAVAILABLE" },
      ]);
      expect(await nameOf(id)).toBe("before");
    });
  });

  it("is waited for a bounded time, and nothing is changed", async () => {
    const id = await newDevice();
    const holder = await holdTransaction(client.database);
    await holder.sql("lock table audit.entry in access exclusive mode");
    const answer = await rename(id, "late").finally(() => holder.rollback());
    expect(code(answer)).toBe("AUDIT_UNAVAILABLE");
    expect(await nameOf(id)).toBe("before");
  });
});

describe("several mutations in one document", () => {
  it("are several operations: one that fails leaves the others whole", async () => {
    const id = await newDevice();
    const answer = await client.server.request(
      `mutation {
         a: updateDevice(input: { id: "${id}", name: "one" }) { name }
         b: updateDevice(input: { id: "${id}", name: "" }) { name }
         c: updateDevice(input: { id: "${id}", name: "three" }) { name }
       }`,
      { token: client.token },
    );
    expect(answer.data).toEqual({ a: { name: "one" }, b: null, c: { name: "three" } });
    const entries = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entries.map(({ outcome, changes }) => [outcome, changes[0]?.new])).toEqual([
      ["SUCCESS", "one"],
      ["FAILURE", undefined],
      ["SUCCESS", "three"],
    ]);
    expect(answer.extensions?.audit?.map(({ path, entryIds }) => [path, entryIds])).toEqual([
      [["a"], [entries[0]?.id]],
      [["b"], [entries[1]?.id]],
      [["c"], [entries[2]?.id]],
    ]);
    const numbers = answer.extensions?.audit?.map(({ sequenceNumber }) => Number(sequenceNumber)) ?? [];
    expect(numbers.map((number) => number - (numbers[0] ?? 0))).toEqual([0, 1, 2]);
  });
});
