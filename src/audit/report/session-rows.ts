import { PLATFORM_TENANT } from "../entry.js";
import type { ReaderScope } from "../reader-scope.js";
import type { RunStatement, Statement } from "../reading.js";
import type { CheckedSessionFilter } from "./session-filter.js";
import type { AuditDroppedNumbers, AuditSequenceNumbers, AuditSession } from "./session-types.js";

/** A place in the list: sessions in the order of when they were opened, and of their ids where that is the same. */
interface Place {
  readonly opened_at: string;
  readonly id: string;
}

/** Where a cursor's session stands; null where the reader sees none of that id. */
export async function placeOf(run: RunStatement, id: string): Promise<Place | null> {
  const text = "select opened_at::text, id from audit.session where id = $1::uuid";
  const [place] = await run<Place & Record<string, unknown>>({ text, values: [id] });
  return place ?? null;
}

/** The newest sessions that fulfil the filter, at most `limit`, newest first, those after a place where one is given. */
export async function selectSessions(
  run: RunStatement,
  scope: ReaderScope,
  filter: CheckedSessionFilter,
  after: Place | null,
  limit: number,
): Promise<AuditSession[]> {
  const rows = await run<SessionRow & Record<string, unknown>>(statementOf(scope, filter, after, limit));
  return rows.map(toSession);
}

interface NumbersJson {
  readonly count: string;
  readonly ranges: readonly (readonly [first: string, last: string])[];
  readonly isCapped: boolean;
}

interface SessionRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly kind: string;
  readonly program: string;
  readonly version: string;
  readonly host: string;
  readonly reporter: string | null;
  readonly opened_at: string;
  readonly last_heard_at: string;
  readonly closed_at: string | null;
  readonly state: string;
  readonly expected: string;
  readonly received: string;
  readonly counted_to: string;
  readonly duplicates: string;
  readonly missing: NumbersJson;
  readonly lost: NumbersJson;
  readonly in_flight: NumbersJson;
  readonly cut_off: NumbersJson;
  readonly dropped: readonly (NumbersJson & { readonly reason: string })[];
}

/** More ranges of one session's numbers aren't shown. */
const MAX_RANGES = 1_000;

// The sums are numeric: they pass 64 bits where every number is missing. Of numbers that are only counted there are no
// ranges to show.
const numbersIn = (multirange: string, counted: string, more = "") => `(
  select json_build_object(
    'count', (coalesce(sum(upper(u.r)::numeric - lower(u.r)), 0) + ${counted})::text,
    'ranges', coalesce(json_agg(json_build_array(lower(u.r)::text, (upper(u.r) - 1)::text) order by u.place)
      filter (where u.place <= ${MAX_RANGES}), '[]'),
    'isCapped', count(*) > ${MAX_RANGES} or ${counted} > 0${more})
  from unnest(${multirange}) with ordinality as u (r, place))`;

/** Of whom nothing was heard for a minute, and nothing closed it, it isn't there any more. */
const state = `case when s.closed_at is not null then 'CLOSED'
  when s.last_heard_at < clock_timestamp() - interval '1 minute' then 'SILENT' else 'OPEN' end`;

const below = (number: string) => `int8multirange(int8range(0, ${number}))`;

// Only counts are kept of a reporter's numbers below counted_to: those that came, those that were dropped, and the rest. Of
// the API's own there are none.
//
// A reporter says of none of its numbers that it is settled: what hasn't come may yet come, also from the spool of one that
// is gone, until it says that it has ended.
const numbers = `
  select s.*, n.state, e.expected, m.missing, m.missing_below,
    case when s.kind = 'API' then m.missing * ${below("s.settled")}
      when n.state = 'CLOSED' then m.missing else '{}' end as lost_numbers,
    case when s.kind = 'API' then m.missing - ${below("s.settled")}
      when n.state = 'CLOSED' then '{}' else m.missing end as unsettled
  from page s
    cross join lateral (select ${state} as state) n
    cross join lateral (
      select coalesce(range_agg((it ->> 'ranges')::int8multirange), '{}') as numbers
      from jsonb_array_elements(s.dropped) it) d
    cross join lateral (
      select greatest(s.taken, s.counted_to, upper(s.received), upper(d.numbers)) as expected) e
    cross join lateral (
      select int8multirange(int8range(s.counted_to, e.expected)) - s.received - d.numbers as missing,
        greatest(s.counted_to - s.received_below - s.dropped_below, 0) as missing_below) m`;

const missingBelow = (condition: string) => `case when ${condition} then s.missing_below else 0 end`;

const columns = `
  s.id, s.tenant_id, s.kind, s.program, s.version, s.host, s.reporter, s.opened_at::text, s.last_heard_at::text,
  s.closed_at::text, s.state, s.expected::text, s.counted_to::text, s.duplicates::text,
  (select (coalesce(sum(upper(r)::numeric - lower(r)), 0) + s.received_below)::text from unnest(s.received) r) as received,
  ${numbersIn("s.missing", "s.missing_below")} as missing,
  ${numbersIn("s.lost_numbers", missingBelow("s.state = 'CLOSED'"))} as lost,
  ${numbersIn("case when s.state = 'OPEN' then s.unsettled else '{}' end", missingBelow("s.state = 'OPEN'"))} as in_flight,
  ${numbersIn("case when s.state = 'OPEN' then '{}' else s.unsettled end", missingBelow("s.state = 'SILENT'"))} as cut_off,
  (select coalesce(json_agg(${numbersIn(
    "(it ->> 'ranges')::int8multirange",
    "coalesce((it ->> 'below')::bigint, 0)",
    ", 'reason', it ->> 'reason'",
  )} order by place), '[]')
    from jsonb_array_elements(s.dropped) with ordinality as d (it, place)) as dropped`;

function statementOf(scope: ReaderScope, filter: CheckedSessionFilter, after: Place | null, limit: number): Statement {
  const values: unknown[] = [];
  const value = (it: unknown, type: string): string => `$${values.push(it)}::${type}`;
  const conditions = ["true"];
  const among = (expression: string, list: readonly string[] | null, type: string): void => {
    // One value by equality: only so is the index in the order of the page.
    if (list?.length === 1) conditions.push(`${expression} = ${value(list[0], type)}`);
    else if (list !== null) conditions.push(`${expression} = any (${value(list, `${type}[]`)})`);
  };
  const { from, to } = filter.openedAt;
  // Fenced off: in the order of the page, every session would be passed on the way to the one that is named.
  const sessions =
    filter.sessionId === null
      ? "audit.session"
      : `(select * from audit.session where id = any (${value(filter.sessionId, "uuid[]")}) offset 0)`;
  among("s.tenant_id", scope === "*" ? null : scope, "text");
  among("s.kind", filter.kind, "text");
  among("s.program", filter.program, "text");
  among("s.host", filter.host, "text");
  among(`(${state})`, filter.state, "text");
  if (from !== null) conditions.push(`s.opened_at >= ${value(from, "timestamptz")}`);
  if (to !== null) conditions.push(`s.opened_at < ${value(to, "timestamptz")}`);
  if (after)
    conditions.push(`(s.opened_at, s.id) < (${value(after.opened_at, "timestamptz")}, ${value(after.id, "uuid")})`);
  const order = "order by s.opened_at desc, s.id desc";
  const text = `with page as materialized (
      select s.* from ${sessions} s where ${conditions.join(" and ")} ${order} limit ${value(limit, "int")}
    )
    select ${columns} from (${numbers}) s ${order}`;
  return { text, values };
}

function toSession(row: SessionRow): AuditSession {
  return {
    id: row.id,
    kind: row.kind,
    program: row.program,
    version: row.version,
    host: row.host,
    tenantId: row.tenant_id === PLATFORM_TENANT ? null : row.tenant_id,
    reporter: row.reporter,
    openedAt: row.opened_at,
    lastHeardAt: row.last_heard_at,
    closedAt: row.closed_at,
    state: row.state,
    expected: row.expected,
    received: row.received,
    countedTo: row.counted_to,
    missing: toNumbers(row.missing),
    lost: toNumbers(row.lost),
    inFlight: toNumbers(row.in_flight),
    cutOff: toNumbers(row.cut_off),
    duplicates: row.duplicates,
    dropped: row.dropped.map((it): AuditDroppedNumbers => Object.assign(toNumbers(it), { reason: it.reason })),
  };
}

const toNumbers = ({ count, ranges, isCapped }: NumbersJson): AuditSequenceNumbers => ({
  count,
  ranges: ranges.map(([first, last]) => ({ first, last })),
  isCapped,
});
