import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";

/**
 * The schemas, and identifiers made of the clock: UUIDv7 whose 12 bits behind the milliseconds hold their fraction.
 *
 * `id_time` and `id_floor` are exact to the microsecond both ways: `id_time(id) >= t` where and only where
 * `id >= id_floor(t)`. All are single expressions, which the planner inlines, and bound to what they call when they
 * are made, whatever a session's search_path.
 */
export class Identifiers1795219202000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create schema audit authorization audit_owner;
      create schema audit_guard authorization audit_guard`);
    const builtIn: unknown = await runner.query(`select from pg_proc where proname = 'uuidv7' limit 1`);
    await asGuard(
      runner,
      Array.isArray(builtIn) && builtIn.length > 0 ? newIdOfServer : newIdOfOurs,
      idFunctions,
      fold,
      grants,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await asGuard(
      runner,
      `drop function audit.new_id(), audit.id_floor(timestamptz), audit.id_time(uuid), audit.fold(text)`,
    );
    await runner.query(`drop schema audit_guard; drop schema audit`);
  }
}

// PostgreSQL has one of the same layout from 18 on, its fraction rounded down instead of up.
const newIdOfServer = `
  create function audit.new_id() returns uuid
  language sql volatile parallel safe
  return uuidv7()`;

export const newIdOfOurs = `
  create function audit.new_id() returns uuid
  language sql volatile parallel safe
  return (
    overlay(lpad(to_hex(ceil(extract(epoch from clock_timestamp()) * 4096000)::bigint), 15, '0') placing '7' from 13 for 0)
    || substr(gen_random_uuid()::text, 20)
  )::uuid`;

const idFunctions = `
  -- The least id of an instant. "at time zone" makes the expression immutable: without it extract() is only stable.
  create function audit.id_floor(instant timestamptz) returns uuid
  language sql immutable parallel safe
  return (
    overlay(
      lpad(to_hex(ceil(extract(epoch from (instant at time zone 'UTC')) * 4096000)::bigint), 15, '0')
      placing '7' from 13 for 0
    ) || '8000000000000000'
  )::uuid;

  create function audit.id_time(id uuid) returns timestamptz
  language sql immutable parallel safe
  return to_timestamp(
    (('x' || translate(overlay(id::text placing '' from 14 for 2), '-', ''))::bit(60)::bigint * 125 >> 9) / 1000000.0::float8
  )`;

// ICU's rules, since the database's own may know no letter beyond ASCII. Upper case first: it makes one of ß and ss, and
// of the two small sigmas.
const fold = `
  create function audit.fold(label text) returns text
  language sql immutable parallel safe
  return lower(upper(label collate "und-x-icu"))`;

const grants = `
  revoke all on all functions in schema audit from public;
  grant usage on schema audit to audit_writer, audit_reader;
  grant execute on function audit.new_id() to audit_writer;
  grant execute on function audit.id_time(uuid), audit.id_floor(timestamptz), audit.fold(text)
    to audit_writer, audit_reader`;
