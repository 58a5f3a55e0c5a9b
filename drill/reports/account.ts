import { rowsOf } from "../../scratch/sql.js";
import type { ReporterOutcome } from "./reporters.js";

/** What the log holds of one reported session. */
export interface SessionAccount {
  readonly id: string;
  readonly program: string;
  readonly isClosed: boolean;
  readonly taken: string;
  readonly entries: string;
  /** Entries that have the number of another. */
  readonly twice: string;
  /** Numbers that have neither an entry nor a reason why they have none. */
  readonly unaccounted: string;
  /** Numbers that have both. */
  readonly contradicted: string;
  /** Numbers of which the session's row says otherwise than the entries. */
  readonly miscounted: string;
  readonly dropped: readonly { readonly reason: string; readonly count: string }[];
}

/** Holds every session's row against its entries, number by number; where it keeps only counts, against their count. */
export function accounts(adminUrl: string): Promise<SessionAccount[]> {
  return rowsOf<SessionAccount>(
    adminUrl,
    `with entered as (
       select session_id as id, count(*) as entries, count(distinct sequence_number) as numbers,
         range_agg(int8range(sequence_number, sequence_number, '[]')) as ranges
       from audit.entry where reported_by is not null and sequence_number is not null group by session_id
     ), told as (
       select s.*, coalesce(entries, 0) as entries, coalesce(numbers, 0) as numbers,
         coalesce(e.ranges, '{}') - int8multirange(int8range(0, counted_to)) as ranges,
         (select coalesce(sum(upper(part) - lower(part)), 0)
            from unnest(e.ranges * int8multirange(int8range(0, counted_to))) part) as entered_below,
         coalesce((select range_agg(part) from jsonb_array_elements(s.dropped) d,
           unnest((d ->> 'ranges')::int8multirange) part), '{}') as gone
       from audit.session s left join entered e using (id) where kind = 'REPORTER'
     )
     select id, program, closed_at is not null as "isClosed", taken::text, entries::text,
       (entries - numbers)::text as twice,
       (select (coalesce(sum(upper(part) - lower(part)), 0) + counted_to - received_below - dropped_below)::text
          from unnest(int8multirange(int8range(counted_to, taken)) - ranges - gone) part) as unaccounted,
       (select coalesce(sum(upper(part) - lower(part)), 0)::text from unnest(ranges * gone) part) as contradicted,
       (select (coalesce(sum(upper(part) - lower(part)), 0) + abs(received_below - entered_below))::text
          from unnest((received - ranges) + (ranges - received)) part) as miscounted,
       (select coalesce(jsonb_agg(jsonb_build_object('reason', d ->> 'reason', 'count', d ->> 'count')), '[]')
          from jsonb_array_elements(dropped) d) as dropped
     from told order by id`,
  );
}

/** What is wrong with the sessions, by what must be none. */
export function judge(sessions: readonly SessionAccount[], outcomes: readonly ReporterOutcome[]) {
  const some = (count: (session: SessionAccount) => string, what: string) =>
    sessions.filter((session) => count(session) !== "0").map((session) => `${session.id}: ${count(session)} ${what}`);
  const byId = new Map(sessions.map((session) => [session.id, session]));
  return {
    unaccounted: some(({ unaccounted }) => unaccounted, "numbers"),
    twice: some(({ twice }) => twice, "entries"),
    contradicted: some(({ contradicted }) => contradicted, "numbers"),
    miscounted: some(({ miscounted }) => miscounted, "numbers"),
    unlike: outcomes.flatMap(({ sessionId, taken }) => {
      const session = byId.get(sessionId);
      if (!session) return [`${sessionId}: the log doesn't know it`];
      if (session.taken !== String(taken))
        return [`${sessionId}: ${String(taken)} numbers taken, ${session.taken} told`];
      return session.isClosed ? [] : [`${sessionId}: not closed`];
    }),
  };
}
