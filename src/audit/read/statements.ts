import { filterColumns, type Condition, type FilterField } from "./filter-columns.js";
import type { Statement } from "../reading.js";

/** Ids between two others, neither of them included. */
export interface IdRange {
  readonly above: string;
  readonly below: string;
}

/** An entry's primary key. */
export interface EntryKey {
  readonly tenant_id: string;
  readonly id: string;
}

/** Which way ids are gone through. */
export type Direction = "asc" | "desc";

/** What leads to the entries: the condition whose index is followed, null for that of all entries. */
export interface Way {
  /** Null for all, by the index on `id` alone. */
  readonly tenants: readonly string[] | null;
  readonly lead: Condition | null;
  /** What each entry on the way is asked besides. */
  readonly rest: readonly Condition[];
}

/** The numbered values of one statement. */
class Values {
  readonly list: unknown[] = [];

  add(value: unknown, type: string): string {
    this.list.push(value);
    return `$${this.list.length}::${type}`;
  }
}

/**
 * The ids of the first entries on a way, in order.
 *
 * One stream for each tenant and each value of the lead, merged: only so does every stream come out of its index in the
 * order of ids and end after `limit`, whatever the planner believes about how often a value occurs.
 */
export function selectIds(way: Way, range: IdRange, direction: Direction, limit: number): Statement {
  const values = new Values();
  const source = streams(way, range, direction, values, limit);
  const text = `select x.tenant_id, x.id from ${source} order by x.id ${direction} limit ${values.add(limit, "int")}`;
  return { ...nameOf("ids", way, direction), text, values: values.list };
}

/** How many entries are on a way, at most `limit`. */
export function countEntries(way: Way, range: IdRange, limit: number): Statement {
  const values = new Values();
  const source = streams(way, range, "desc", values, limit);
  const text = `select count(*)::int as count from (select from ${source} limit ${values.add(limit, "int")}) y`;
  return { ...nameOf("count", way, "desc"), text, values: values.list };
}

/** One of the first entries that were looked through: a hit, the nearest or the farthest. */
export interface WindowRow extends EntryKey {
  readonly hit: boolean;
  readonly place: number;
}

/**
 * Which of the newest or oldest `size` entries of all tenants fulfil the conditions, at most `limit`, in order; with
 * them the nearest entry and, where that many hits weren't found and there are so many entries, the last.
 */
export function selectWindow(
  conditions: readonly Condition[],
  range: IdRange,
  direction: Direction,
  limit: number,
  size: number,
): Statement {
  const values = new Values();
  const hit = conditions.map((condition) => fulfils(condition, values)).join(" and ");
  const text = `select w.* from (
      select e.tenant_id, e.id, e.hit, (row_number() over (order by e.id ${direction}))::int as place from (
        select e.tenant_id, e.id, (${hit}) is true as hit from audit.entry e
        where ${within("e", range, values)} order by e.id ${direction} limit ${values.add(size, "int")}) e) w
    where w.hit or w.place in (1, ${values.add(size, "int")})
    order by w.id ${direction} limit ${values.add(limit + 1, "int")}`;
  return { text, values: values.list };
}

/** Which of one field's values the log holds, for these tenants. */
export function selectKnown({ field, values: wanted }: Condition, tenants: readonly string[]): Statement {
  const values = new Values();
  const lead = v(field, wanted, values);
  const text = `select v.value::text as value from ${lead} where exists (
    select from unnest(${values.add(tenants, "text[]")}) t(tenant_id) cross join lateral (
      select from ${tableOf(field)} e where e.tenant_id = t.tenant_id and e.${filterColumns[field].column} = v.value limit 1) x)`;
  return { name: `audit-read-known-${field}`, text, values: values.list };
}

/** Every tenant that the log knows: one step down the primary key's index for each. */
export const selectTenants: Statement = {
  name: "audit-read-tenants",
  text: `with recursive t as (
      (select e.tenant_id from audit.entry e order by e.tenant_id limit 1)
      union all
      select (select e.tenant_id from audit.entry e where e.tenant_id > t.tenant_id order by e.tenant_id limit 1)
      from t where t.tenant_id is not null)
    select t.tenant_id from t where t.tenant_id is not null`,
  values: [],
};

/** The newest entry that the reader may see. */
export const selectNewest: Statement = {
  name: "audit-read-newest",
  text: "select e.tenant_id, e.id from audit.entry e order by e.id desc limit 1",
  values: [],
};

/** The tenants of the first `limit` entries above an id. */
export function selectTenantsSince(id: string, limit: number): Statement {
  return {
    name: "audit-read-tenants-since",
    text: `select e.tenant_id from audit.entry e where e.id > $1::uuid order by e.id limit $2::int`,
    values: [id, limit],
  };
}

function streams(way: Way, range: IdRange, direction: Direction, values: Values, limit: number): string {
  const { tenants, lead, rest } = way;
  if (tenants === null) return `(${stream(["true"], way, range, direction, values, limit)}) x`;
  const outer = `unnest(${values.add(tenants, "text[]")}) t(tenant_id)`;
  const own = ["e.tenant_id = t.tenant_id"];
  if (lead === null) return `${outer} cross join lateral (${stream(own, way, range, direction, values, limit)}) x`;
  own.push(`e.${filterColumns[lead.field].column} = v.value`, ...indexPredicate(lead));
  const led = `${outer} cross join ${v(lead.field, lead.values, values)}`;
  const number = rest.find(({ field }) => filterColumns[field].beside === lead.field);
  if (!number) return `${led} cross join lateral (${stream(own, way, range, direction, values, limit)}) x`;
  own.push(`e.${filterColumns[number.field].column} = n.value`, ...(number.isReported ? [reportedAlone] : []));
  const numbers = `unnest(${values.add(number.values, "bigint[]")}) n(value)`;
  const others = { lead, rest: rest.filter((condition) => condition !== number) };
  const numbered = stream(own, others, range, direction, values, limit);
  return `${led} cross join ${numbers} cross join lateral (${numbered}) x`;
}

/** What the index that leads to one number of a session must see. */
const reportedAlone = "e.reported_by is not null";

function stream(
  own: readonly string[],
  { lead, rest }: Pick<Way, "lead" | "rest">,
  range: IdRange,
  direction: Direction,
  values: Values,
  limit: number,
): string {
  const bounds = within("e", range, values);
  const end = `order by e.id ${direction} limit ${values.add(limit, "int")}`;
  if (lead?.field !== "changedField") {
    const where = [...own, bounds, ...rest.map((condition) => fulfils(condition, values))].join(" and ");
    return `select e.tenant_id, e.id from audit.entry e where ${where} ${end}`;
  }
  const where = [...own, bounds, ...once(lead, values)];
  if (rest.length > 0) where.push(entryExists(rest, values));
  return `select e.tenant_id, e.id from audit.entry_field e where ${where.join(" and ")} ${end}`;
}

/**
 * An entry that changed several of the fields asked for is in several streams: it counts in the first of them. Each of
 * the others is looked up by its whole key; of `field < …` the planner would make a scan of all lesser fields.
 */
function once({ values: fields }: Condition, values: Values): string[] {
  if (fields.length === 1) return [];
  return [
    `not exists (select from unnest(${values.add(fields, "text[]")}) p(field) join audit.entry_field f
      on f.tenant_id = e.tenant_id and f.field = p.field and f.id = e.id where p.field < e.field)`,
  ];
}

function entryExists(rest: readonly Condition[], values: Values): string {
  const asked = rest.map((condition) => fulfils(condition, values, "r")).join(" and ");
  return `(select (${asked}) from audit.entry r where r.tenant_id = e.tenant_id and r.id = e.id)`;
}

function within(alias: string, { above, below }: IdRange, values: Values): string {
  return `${alias}.id > ${values.add(above, "uuid")} and ${alias}.id < ${values.add(below, "uuid")}`;
}

/** The lead's values as a table `v(value)`, distinct as the column compares them. */
function v(field: FilterField, wanted: readonly string[], values: Values): string {
  const list = values.add(wanted, `${filterColumns[field].sqlType}[]`);
  if (field === "resourceLabel") return `(select distinct ${foldsOf(list)}) v`;
  return `(select distinct u.value from unnest(${list}) u(value)) v`;
}

function fulfils({ field, values: wanted }: Condition, values: Values, alias = "e"): string {
  // The entry is at hand, so its own list of changes answers without a look at another table.
  if (field === "changedField") {
    const contained = wanted.map((name) => JSON.stringify([{ field: name }]));
    return `${alias}.changes @> any (${values.add(contained, "jsonb[]")})`;
  }
  const { column, sqlType } = filterColumns[field];
  const list = values.add(wanted, `${sqlType}[]`);
  if (field === "resourceLabel") return `${alias}.${column} = any (array(select ${foldsOf(list)}))`;
  return `${alias}.${column} = any (${list})`;
}

/**
 * What follows SELECT for the labels of a list as the column keeps them, without regard to case: as they are folded now; and
 * for entries from before `audit.fold` made one of ẞ and ß, as they were then, with ß in place of each ẞ, or of each ß that
 * is asked for. None of these is the fold of another label.
 */
const foldsOf = (list: string): string =>
  `f.value collate "C" as value from unnest(${list}) u(value) cross join lateral (values (audit.fold(u.value)),
    (lower(upper(u.value collate "und-x-icu"))), (lower(u.value collate "und-x-icu"))) f(value)`;

/** What a partial index must see in the statement's own text before it is used. */
function indexPredicate({ field }: Condition): string[] {
  const { column, notIndexed } = filterColumns[field];
  return notIndexed === null ? [] : [`e.${column} <> '${notIndexed}'`];
}

const tableOf = (field: FilterField): string => (field === "changedField" ? "audit.entry_field" : "audit.entry");

/** Only what has few shapes is prepared, since a connection keeps each for its lifetime. */
function nameOf(what: string, { tenants, lead, rest }: Way, direction: Direction): { readonly name?: string } {
  if (rest.length > 0) return {};
  const parts = [what, tenants === null ? "all" : "tenants", lead?.field ?? "entries", direction];
  if (lead?.field === "changedField" && lead.values.length > 1) parts.push("several");
  return { name: `audit-read-${parts.join("-")}` };
}
