import { literal, textArray } from "../sql.js";
import type { CanonicalColumn } from "./canonical.js";
import type { Sparing } from "./fence.js";

/** A tracked or secret field with its column. */
export interface FencedField extends CanonicalColumn {
  readonly name: string;
  /** Quoted. */
  readonly column: string;
  readonly isSecret: boolean;
  readonly isSet: boolean;
}

interface FenceParts {
  readonly functionName: string;
  readonly type: string;
  readonly table: string;
  readonly tenantColumn: string;
  readonly idColumn: string;
  readonly fields: readonly FencedField[];
  /** SQL over a row called `row`. */
  readonly label: string | null;
  readonly sparing: readonly Sparing[];
}

/**
 * The trigger function of one audited table.
 *
 * Mostly a row was changed once, by an update, and its one entry says just that: the fast way. It needs to know nothing of
 * other events: where the row was changed further, that event's own judgement can't be satisfied by the same entry unless
 * the row ended as the entry says. Whatever else there is goes the slow way: what stood under the row's key before the
 * first event against what stands there now, and only once for each version that stands.
 */
export function fenceFunction(parts: FenceParts): string {
  const { functionName, type, table, tenantColumn, idColumn, fields } = parts;
  const sameKey = [tenantColumn, idColumn].map((column) => `old.${column} is not distinct from new.${column}`);
  const sets = fields.filter(({ isSet }) => isSet).map(({ name }) => name);
  const secrets = fields.filter(({ isSecret }) => isSecret);
  const secretDiffers = (from: string, to: string) => secrets.map((field) => differs(field, from, to)).join(" or ");
  return `create or replace function ${functionName}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off${settingsOf(fields)}
as $fence$
#variable_conflict use_column
<<fence>>
declare
  row_key ${table};
  was ${table};
  is_now ${table};
  had boolean;
  has boolean;
  has_same_key boolean;
  found_row record;
  this_version tid;
  row_tenant text;
  row_id text;
  op text;
  expected jsonb;
  secret_written bigint;
  entries bigint;
  are_told boolean;
  unproven text[];
  least_id uuid;
  most_id uuid;
begin
  if tg_op = 'UPDATE' then
    has_same_key := ${sameKey.join(" and ")};
    if has_same_key then
      row_tenant := new.${tenantColumn};
      row_id := new.${idColumn};
      expected := '[]';
${differences(fields, "old", "new", "'REPLACE'")}
      if expected = '[]' then
        return null;
      end if;
    end if;
    least_id := ${idAround("transaction_timestamp()", -1)};
    most_id := ${idAround("clock_timestamp()", 60_000)};
${lookUp(type, "")}
    if entries = 1 and are_told${secrets.length > 0 ? ` and not (${secretDiffers("old", "new")})` : ""} then
      return null;
    end if;
  else
    least_id := ${idAround("transaction_timestamp()", -1)};
    most_id := ${idAround("clock_timestamp()", 60_000)};
  end if;

  for side in 1 .. 2 loop
    if side = 2 and has_same_key is distinct from false then
      return null;
    end if;
    if tg_op = 'INSERT' or side = 2 then
      row_key := new;
      was := null;
      had := false;
    else
      row_key := old;
      was := old;
      had := true;
    end if;
    this_version := case when tg_op = 'INSERT' or tg_op = 'UPDATE' and (side = 2 or has_same_key) then new.ctid end;
    row_tenant := row_key.${tenantColumn};
    row_id := row_key.${idColumn};

    select it as stands, it.ctid as version, it.cmin::text::bigint as written into found_row
      from ${table} as it
      where it.${tenantColumn} = fence.row_key.${tenantColumn} and it.${idColumn} = fence.row_key.${idColumn};
    has := found;
    is_now := found_row.stands;
    continue when exists (
      select from audit.fence_judged as judged
      where judged.xact_id = pg_current_xact_id() and judged.relation = tg_relid and judged.tenant_id = fence.row_tenant
        and judged.id = fence.row_id and judged.version is not distinct from fence.found_row.version
    );

    op := case when not had then 'ADD' when not has then 'REMOVE' else 'REPLACE' end;
    expected := '[]';
    if had or has then
${differences(fields, "was", "is_now", "op")}
    end if;
    secret_written := ${secrets.length > 0 ? `case when ${secretDiffers("was", "is_now")} then found_row.written end` : "null"};
    if expected <> '[]' or had <> has then
${lookUp(type, " and (fence.secret_written is null or entry.cmin::text::bigint > fence.secret_written)")}
      if entries <> 1 or not are_told then
        unproven := case when entries = 0 and expected = '[]' then array['its existence']
          else audit_guard.unproven(${literal(type)}, row_tenant, row_id, expected,
            ${textArray(fields.map(({ name }) => name))}, ${textArray(sets)}, secret_written) end;
        if unproven <> '{}' then
          perform audit_guard.answer(tg_relid, ${literal(type)}, row_tenant, row_id, ${labelOf(parts.label)},
            case op when 'ADD' then 'CREATE' when 'REPLACE' then 'UPDATE' else 'DELETE' end, expected, unproven,
            ${(["unasked", "asSecret", "asTracked"] as const).map((kind) => spared(parts.sparing, kind)).join(",\n            ")});
        end if;
      end if;
    end if;
    if found_row.version is distinct from this_version then
      perform audit_guard.note_judged(tg_relid, row_tenant, row_id, found_row.version);
    end if;
  end loop;
  return null;
end
$fence$`;
}

/** An id of about that time, no digits of chance in it: cheaper than `audit.id_floor`, and so near is near enough. */
const idAround = (time: string, milliseconds: number): string =>
  `(encode(int8send(((date_part('epoch', ${time}) * 1000)::bigint + ${String(milliseconds)}) << 16), 'hex')
      || '0000000000000000')::uuid`;

/** The entries of this transaction for the row, and whether they tell just what is expected. */
const lookUp = (type: string, condition: string): string => `
    select count(*), bool_and(entry.changes = fence.expected${condition})
      into entries, are_told
      from audit.entry
      where entry.tenant_id = fence.row_tenant and entry.resource_id = fence.row_id
        and entry.id >= fence.least_id and entry.id < fence.most_id
        and entry.xact_id = pg_current_xact_id() and entry.resource_type = ${literal(type)}
        and entry.outcome = 'SUCCESS' and entry.actor_type <> 'DATABASE';`;

function differs(field: FencedField, from: string, to: string): string {
  const forms = [field.compared, ...(field.refined ? [field.refined] : [])];
  return forms
    .map((form) => `${form(`${from}.${field.column}`)} is distinct from ${form(`${to}.${field.column}`)}`)
    .join(" and ");
}

/** Appends to `expected` each field that differs, as an entry has it. */
function differences(fields: readonly FencedField[], from: string, to: string, op: string): string {
  return fields
    .map((field) => {
      const change = changeOf(field, `${from}.${field.column}`, `${to}.${field.column}`, op);
      return `      if ${differs(field, from, to)} then
        expected := expected || ${change};
      end if;`;
    })
    .join("\n");
}

function changeOf(field: FencedField, left: string, right: string, op: string): string {
  const head = `'field', ${literal(field.name)}, 'op', ${op}`;
  if (field.isSecret) return `jsonb_build_object(${head}, 'secret', true)`;
  if (!field.isNested)
    return `jsonb_strip_nulls(jsonb_build_object(${head}, 'old', ${field.json(left)}, 'new', ${field.json(right)}))`;
  const member = (name: string, value: string) =>
    `case when ${value} is null then '{}' else jsonb_build_object('${name}', ${field.json(value)}) end`;
  return `(jsonb_build_object(${head}) || ${member("old", left)} || ${member("new", right)})`;
}

const labelOf = (label: string | null): string =>
  label === null
    ? "null"
    : `(select (${label}) from (select (r).* from (select case when fence.has then fence.is_now else fence.was end as r) as one) as "row")`;

/** Fields of which another version asks this yet, each until its own time. */
function spared(sparing: readonly Sparing[], kind: "unasked" | "asSecret" | "asTracked"): string {
  const parts = sparing
    .filter(({ [kind]: fields }) => fields.length > 0)
    .map(
      ({ [kind]: fields, until }) =>
        `case when clock_timestamp() < ${literal(until)}::timestamptz then ${textArray(fields)} else '{}' end`,
    );
  return parts.length === 0 ? "'{}'" : parts.join(" || ");
}

function settingsOf(fields: readonly FencedField[]): string {
  const settings = new Map(fields.flatMap(({ settings: needed }) => Object.entries(needed)));
  return [...settings].map(([name, value]) => `\nset ${name} = ${literal(value)}`).join("");
}
