import { escapers, statements, type Line } from "./line.js";

const rename = `update app.device set name = 'escaped'`;
const breach = { isBreach: true };

/** The fence taken down, or gone round, by who owns the table; and the documented ways. */
export const breaches: readonly Line[] = [
  statements(
    "the fence's triggers disabled, then enabled",
    escapers,
    [
      `begin`,
      `alter table app.device disable trigger user`,
      rename,
      `alter table app.device enable trigger user`,
      `alter table app.device enable always trigger audit_fence`,
      `alter table app.device enable always trigger audit_fence_update`,
      `commit`,
    ],
    breach,
  ),
  statements(
    "the fence's triggers dropped",
    escapers,
    [`drop trigger audit_fence_update on app.device`, `drop trigger audit_fence on app.device`, rename],
    breach,
  ),
  statements(
    "the fence's function replaced",
    escapers,
    [
      `create or replace function audit_guard.fence_device() returns trigger language plpgsql
       as 'begin return null; end'`,
      rename,
    ],
    breach,
  ),
  statements(
    "a column rewritten by ALTER TYPE … USING",
    escapers,
    [`alter table app.device alter column name type text using 'escaped'`],
    breach,
  ),
  statements("a tracked column dropped", escapers, [`alter table app.device drop column firmware_version`], breach),
  statements("the table dropped", escapers, [`drop table app.device`], breach),
  statements(
    "the table renamed, another in its place",
    escapers,
    [
      `alter table app.device rename to old_device`,
      `create table app.device (like app.old_device including all)`,
      `insert into app.device select * from app.old_device`,
      rename,
    ],
    breach,
  ),
  statements(
    "rows in a child that the table's readers see",
    escapers,
    [
      `create table app.child () inherits (app.device)`,
      `insert into app.child (tenant_id, serial_number, name) values ('north', 'SN-9', 'escaped')`,
    ],
    breach,
  ),
  statements(
    "a rule that swallows entries",
    escapers,
    [`create rule swallow as on insert to audit.entry do instead nothing`, rename],
    breach,
  ),
  statements(
    "the fence put aside by its own function",
    escapers,
    [
      `begin`,
      `select audit_guard.put_aside('app.device')`,
      `alter table app.device disable trigger audit_fence, disable trigger audit_fence_update`,
      rename,
      `commit`,
    ],
    breach,
  ),
  statements(
    "lift_fence, the documented way, then UPDATE",
    escapers,
    [`select audit_guard.lift_fence('app.device')`, rename],
    breach,
  ),
  statements(
    "change_in_bulk, the documented way",
    escapers,
    [
      `select audit_guard.change_in_bulk('app.device', 'update app.device set name = upper(name)', 'Names are upper case')`,
    ],
    { isBulk: true },
  ),
];
