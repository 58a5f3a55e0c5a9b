import { statements, type Line, type LineGround } from "./line.js";

interface Told {
  readonly id: string;
  readonly old: string;
  readonly now: string;
  readonly outcome?: "SUCCESS" | "FAILURE";
  readonly actor?: "USER" | "DATABASE";
}

/** An entry that an application could state, of a device's name. */
function entry({ id, old, now, outcome = "SUCCESS", actor = "USER" }: Told): string {
  const error = outcome === "FAILURE" ? "'INTERNAL'" : "null";
  const changes = JSON.stringify([{ field: "name", op: "REPLACE", old, new: now }]);
  return `insert into audit.entry (tenant_id, format_version, actor_type, actor_id, action, event_type, outcome, error_code,
      resource_type, resource_id, changes, attempted, operation, ordinal, salts)
    values ('north', 1, '${actor}', ${actor === "USER" ? "'escaper'" : "null"}, 'UPDATE', 'device.updated', '${outcome}',
      ${error}, 'device', '${id}', '${changes}', '[]', 'escape', 0, decode(repeat('00', 192), 'hex'))`;
}

const another = "9f0c8a52-7a1e-4b7e-9d39-0d1f4f0f2f11";
const before = "Sensor, renamed";
const rename = ({ device }: LineGround, name = "escaped") =>
  `update app.device set name = '${name}' where id = '${device}'`;
const by = ["API"] as const;

/** Entries beside the change that don't tell what it did. */
export const entryTricks: readonly Line[] = [
  statements("a dummy entry that fits nothing", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: another, old: "a", now: "b" }),
    `commit`,
  ]),
  statements("an entry with another old value", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: "something else", now: "escaped" }),
    `commit`,
  ]),
  statements("an entry with another new value", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: before, now: "something else" }),
    `commit`,
  ]),
  statements("a write after the entry", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: before, now: "escaped" }),
    rename(ground, "and once more"),
    `commit`,
  ]),
  statements("a secret written after the entry", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: before, now: "escaped" }),
    `update app.device set provisioning_secret = 'escaped' where id = '${ground.device}'`,
    `commit`,
  ]),
  statements("an entry in a savepoint that is rolled back", by, (ground) => [
    `begin`,
    rename(ground),
    `savepoint one`,
    entry({ id: ground.device, old: before, now: "escaped" }),
    `rollback to one`,
    `commit`,
  ]),
  statements("an entry of a failure", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: before, now: "escaped", outcome: "FAILURE" }),
    `commit`,
  ]),
  statements("an entry that claims to be the database's own", by, (ground) => [
    `begin`,
    rename(ground),
    entry({ id: ground.device, old: before, now: "escaped", actor: "DATABASE" }),
    `commit`,
  ]),
  statements("one entry for many rows", by, (ground) => [
    `begin`,
    `update app.device set name = 'escaped'`,
    entry({ id: ground.device, old: before, now: "escaped" }),
    `commit`,
  ]),
];
