import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { session } from "../database/support/session.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { startInVain, startServer } from "../support/server.js";

const forgetful = pathToFileURL("dist/test/support/forgetful-feature.js").href;

let database: TestDatabase;
let login: string;
let partition: string;

beforeEach(async () => {
  database = await createDatabase();
  login = new URL(database.apiUrl).username;
  const [row] = (await asAdmin(`select min(relid::regclass::text) as name from pg_partition_tree('audit.entry')
                               where isleaf and relid::regclass::text <> 'audit.entry_default'`)) as { name: string }[];
  partition = row?.name ?? "";
});
afterEach(() => database.drop());

/** As the superuser, past the event triggers that keep the log's shape. */
const asAdmin = (sql: string): Promise<unknown[]> =>
  session(database.adminUrl, async (client) => {
    await client.query("alter event trigger audit_refuse_ddl disable; alter event trigger audit_refuse_drop disable");
    return (await client.query<Record<string, unknown>>(sql)).rows;
  });

/** What the start said, one finding each, without its heading. */
const findingsIn = (stderr: string): string[] =>
  stderr
    .trimEnd()
    .split("\n  - ")
    .slice(1)
    .map((finding) => finding.replaceAll("\n    ", "\n"));

const forgotten = [
  "Query.lamp carries @audited or @unaudited, which have effect on mutations alone: remove it.",
  "Mutation.dimLamp has neither @audited nor @unaudited. Add one of\n" +
    '    @Audited({ resource: "lamp", action: "UPDATE", id: "id" })\n' +
    '    @Unaudited("why this leaves no entry")',
  'Mutation.paintLamp: no audited resource is called "torch"; there are "device", "chat", "group", "group_budget", ' +
    '"lamp", "lamp". Declare it with defineAuditedResource.',
  'Mutation.paintLamp: @audited(id: "input.id"): there is no input; there is lampId. Write id: "lampId".',
  "Mutation.deleteLamp carries both @audited and @unaudited: keep one.",
  'The audited resource "lamp" is declared twice: give one of them another type.',
  "Lamp is the entity of two audited resources: keep one of them.",
  'Lamp.colour has no field policy: add `colour: track`, `secret` or `ignore("why")`.',
  '"lamp" has a policy for shade, but Lamp has no such column: remove it.',
  "Lamp.apiToken looks like a secret but is tracked in clear: write `apiToken: secret`.",
  'Lamp.id is ignored without a reason: write `id: ignore("why")`.',
  "HangLampInput.pin has no validator: add one of class-validator's, or @Allow() where any value of its type will do.",
];

describe("the start is refused", () => {
  it("where something was forgotten, naming all of it at once with what to write, and the login's might beside", async () => {
    await asAdmin(`grant update on ${partition} to ${login}`);
    const { exit, stdout, stderr } = await startInVain({ database, env: { NODE_OPTIONS: `--import=${forgetful}` } });
    expect(exit).toEqual({ code: 78, signal: null });
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^Not everything is audited, so nothing is served:\n/);
    const findings = findingsIn(stderr);
    expect(findings).toEqual(expect.arrayContaining(forgotten));
    expect(findings.filter((finding) => !forgotten.includes(finding))).toEqual([
      `The table of Lamp, "app"."lamp", isn't there: add its migration to migrations/index.ts.`,
      `The API's login ${login} holds UPDATE on ${partition}. REVOKE UPDATE ON ${partition} FROM ${login}, PUBLIC;`,
    ]);
  });

  it("where the API's login could alter the log, and no longer once what it says was pasted", async () => {
    await asAdmin(`grant update on ${partition} to ${login}; grant truncate on audit.entry to public;
      alter table audit.entry disable trigger refuse_row; alter table ${partition} enable trigger refuse_truncate;
      create rule swallow as on insert to audit.entry do instead nothing;
      alter policy reader_selects on audit.entry using (true); alter table audit.entry alter id set default gen_random_uuid()`);
    const { exit, stderr } = await startInVain({ database });
    expect(exit).toEqual({ code: 78, signal: null });
    const findings = findingsIn(stderr);
    for (const fault of [
      `holds UPDATE on ${partition}`,
      "holds TRUNCATE on audit.entry",
      "audit.entry lacks its guard refuse_row, or it doesn't fire always",
      `${partition} lacks its guard refuse_truncate, or it doesn't fire always`,
      "audit.entry has a rule swallow",
      "The policy reader_selects of audit.entry isn't what the migrations made",
      "The default for id of audit.entry isn't what the migrations made",
    ])
      expect(findings.join("\n")).toContain(fault);
    for (const finding of findings) {
      // What was tried and got through is mended by what lies behind it.
      if (finding.startsWith('"')) continue;
      await asAdmin(finding.slice(finding.search(/(?<=\. )(REVOKE|SET ROLE|ALTER)\b/)));
    }
    const server = await startServer({ database });
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  it("where a table isn't there, or the API may not use it, with what to do", async () => {
    await asAdmin("select audit_guard.lift_fence('app.group_budget')");
    await asAdmin("drop table app.group_budget");
    await asAdmin("revoke update, delete on app.device from app_api");
    const { exit, stderr } = await startInVain({ database });
    expect(exit?.code).toBe(78);
    expect(stderr).toContain(
      `The table of GroupBudget, "app"."group_budget", isn't there: add its migration to migrations/index.ts.`,
    );
    expect(stderr).toContain(
      "The API may not use the table of Device, and the migration that made it has run. " +
        'Add a new one: `grant update, delete on "app"."device" to app_api`.\n',
    );
  });

  it("where the API's login owns a part of the log, with the SQL that makes it another", async () => {
    await asAdmin(`alter table ${partition} owner to ${login}`);
    const { exit, stderr } = await startInVain({ database });
    expect(exit).toEqual({ code: 78, signal: null });
    expect(stderr).toContain("There is no restricted login to serve with");
    expect(stderr).toMatch(/^ +CREATE ROLE ".+_api" LOGIN PASSWORD '.+';\n +GRANT app_api TO/m);
  });
});
