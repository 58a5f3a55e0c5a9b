import type pg from "pg";
import { rowsOf, withClient } from "../../scratch/sql.js";
import { escapers, statements, type Line, type LineGround } from "./line.js";

interface Setting {
  readonly name: string;
  readonly vartype: string;
  readonly setting: string;
  readonly enumvals: string[] | null;
  readonly min: string | null;
  readonly max: string | null;
}

const rename = (name: string) => `update app.device set name = '${name}' where serial_number = 'SN-1'`;

/** Who one is and what one has set, as far as a session may say. */
export const sessionTricks: readonly Line[] = [
  ...["audit_owner", "audit_guard", "audit_writer", "app_api", "pg_database_owner"].map((role) =>
    statements(`SET ROLE ${role}, then UPDATE`, escapers, [`set role ${role}`, rename("escaped")]),
  ),
  statements("SET SESSION AUTHORIZATION of the API's login, then UPDATE", escapers, [
    `set session authorization drill_app_api`,
    rename("escaped"),
  ]),
  statements("session_replication_role = replica, then UPDATE", escapers, [
    `set session_replication_role = replica`,
    rename("escaped"),
  ]),
  statements("row_security = off, then UPDATE", escapers, [`set row_security = off`, rename("escaped")]),
  statements("application_name of the API, then UPDATE", escapers, [
    `set application_name = 'auditql api'`,
    rename("escaped"),
  ]),
  { what: "SET of every setting to its other values, each with an UPDATE", by: escapers, run: setAll },
  {
    what: "custom settings that the log's functions read, and guesses, each with an UPDATE",
    by: escapers,
    run: setCustom,
  },
  statements("an UPDATE of the modes by hand", escapers, [
    `update audit.fence_mode set mode = 'record'`,
    `insert into audit.fence_mode (login, mode) values (session_user, 'record')`,
    rename("escaped"),
  ]),
  statements(
    "the modes by hand, as their owner",
    ["owner", "superuser"],
    [
      `set role audit_owner`,
      `insert into audit.fence_mode (login, mode) values ('drill_second', 'refuse')`,
      `update audit.fence_mode set mode = 'record'`,
      `delete from audit.fence_mode`,
    ],
  ),
];

/** Superusers' settings too: whoever may not set one is refused. */
async function setAll({ url, adminUrl }: LineGround): Promise<string> {
  const settings = await rowsOf<Setting & Record<string, unknown>>(
    adminUrl,
    `select name, vartype, setting, enumvals, min_val as min, max_val as max from pg_settings
     where context in ('user', 'superuser') order by name`,
  );
  const tries = settings.flatMap((setting) => valuesOf(setting).map((value) => [setting.name, value] as const));
  return `${String(settings.length)} settings: ${await tryEach(url, tries)}`;
}

function valuesOf({ vartype, setting, enumvals, min, max }: Setting): readonly string[] {
  if (vartype === "bool") return [setting === "on" ? "off" : "on"];
  if (vartype === "enum") return (enumvals ?? []).filter((value) => value !== setting);
  if (vartype === "string") return ["", "audit_owner"];
  return [min, max].flatMap((value) => (value === null ? [] : [value]));
}

const guesses = ["audit", "auditql", "audit_guard", "fence", "app"].flatMap((prefix) =>
  ["mode", "fence", "off", "disabled", "bypass", "skip", "tenants", "actor", "user", "login", "entry"].map(
    (name) => `${prefix}.${name}`,
  ),
);

async function setCustom({ url, adminUrl }: LineGround): Promise<string> {
  const read = await rowsOf<{ name: string }>(
    adminUrl,
    `select distinct found[1] as name from pg_proc, regexp_matches(pg_get_functiondef(pg_proc.oid),
       'current_setting\\(''([a-z_]+\\.[a-z_.]+)''', 'g') as found
     where prokind = 'f' and pronamespace::regnamespace::text in ('audit', 'audit_guard', 'app')`,
  );
  const names = [...new Set([...read.map(({ name }) => name), ...guesses])];
  const values = ["on", "off", "1", "*", "record", "postgres"];
  const tries = names.flatMap((name) => values.map((value) => [name, value] as const));
  return `${String(names.length)} settings: ${await tryEach(url, tries)}`;
}

/** Each in a transaction of its own, with a change of its own; on a connection anew where a setting ended the last. */
async function tryEach(url: string, tries: readonly (readonly [name: string, value: string])[]): Promise<string> {
  let refused = 0;
  for (let next = 0; next < tries.length;)
    await withClient(url, async (client) => {
      for (let isOpen = true; isOpen && next < tries.length; next++) {
        const [name = "", value = ""] = tries[next] ?? [];
        if (await tryOne(client, name, value, `escaped ${String(next)}`)) continue;
        refused++;
        isOpen = await client.query("rollback").then(
          () => true,
          () => false,
        );
      }
    });
  return `${String(tries.length)} tries, ${String(refused)} refused`;
}

async function tryOne(client: pg.Client, setting: string, value: string, name: string): Promise<boolean> {
  try {
    await client.query("begin");
    await client.query("select set_config($1, $2, true)", [setting, value]);
    await client.query(rename(name));
    await client.query("commit");
    return true;
  } catch {
    return false;
  }
}
