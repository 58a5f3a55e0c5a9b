import { progress } from "../progress.js";
import { run, withClient, type BenchDatabase } from "../cluster.js";
import { COMMON, RARE, RARE_FIELDS } from "./values.js";

/** How many entries have a rare value, whatever the log's size; all of them are the greatest tenant's. */
export const RARE_ENTRIES = 20;
/** How many the request has that left the most. */
const REQUEST_ENTRIES = 100;
const BATCH = 20_000;
const SESSIONS = 2;

/**
 * Fills an empty log with entries of 200 tenants, the n-th of them 1/n of the first one's size, evenly over the months
 * that have partitions. As superuser: no one else may state an id. The guards check every entry as always.
 */
export async function seedLog(database: BenchDatabase, entries: number): Promise<void> {
  await run(database.adminUrl, tenantShares, entryMaker);
  let next = 0;
  let done = 0;
  const load = () =>
    withClient(database.adminUrl, async (client) => {
      await client.query("set synchronous_commit = off");
      for (let from = next; from < entries; from = next) {
        next += BATCH;
        const to = Math.min(from + BATCH, entries);
        await client.query("select bench.make_entries($1, $2, $3)", [from, to - 1, entries]);
        done += to - from;
        if (done % 100_000 < BATCH) progress(`log: ${String(done)} of ${String(entries)} entries`);
      }
    });
  await Promise.all(Array.from({ length: SESSIONS }, load));
  progress(`log: vacuum and analyze`);
  await run(database.adminUrl, "vacuum analyze", "checkpoint");
}

const tenantShares = `
  create schema bench;
  create table bench.share as
    select n, sum(1.0 / n) over (order by n) / sum(1.0 / n) over () as upto from generate_series(1, 200) as n`;

const quote = (value: string): string => `'${value.replaceAll("'", "''")}'`;
/** The rare value where this entry is one of the field's rare ones, what stands otherwise elsewhere. */
const orRare = (field: keyof typeof RARE, otherwise: string): string =>
  `case when rare = ${quote(field)} then ${quote(RARE[field])} else ${otherwise} end`;

// Entry n of the field with the k-th place is a rare one where n is the k-th after a twentieth of the log.
const entryMaker = `
  create function bench.make_entries(first bigint, last bigint, total bigint) returns void
  language sql set search_path = pg_catalog, pg_temp
  begin atomic
    insert into audit.entry (
      id, tenant_id, format_version, actor_type, actor_id, actor_name, on_behalf_of, issuer, action, event_type, outcome,
      error_code, error_message, resource_type, resource_id, resource_label, changes, attempted, operation, request_id,
      session_id, sequence_number, ordinal, trace_id, ip, user_agent, salts)
    select
      (substr(audit.id_floor(made.at)::text, 1, 19) || substr(gen_random_uuid()::text, 20))::uuid,
      made.tenant_id, 1,
      ${orRare("actorType", "'USER'")}, ${orRare("actorId", "made.actor")}, ${orRare("actorName", "'User ' || made.actor")},
      ${orRare("onBehalfOf", `case when made.lot < 10 then ${quote(COMMON.onBehalfOf)} end`)}, 'auditql-development',
      ${orRare("action", "'UPDATE'")},
      ${orRare("eventType", "case when made.failed then 'device.update_failed' else 'device.updated' end")},
      case when rare = 'outcome' then 'DENIED' when made.failed then 'FAILURE' else 'SUCCESS' end,
      case when rare = 'outcome' then 'FORBIDDEN' when made.failed then ${orRare("errorCode", "'NOT_FOUND'")} end,
      case when made.failed then 'There is none.' end,
      ${orRare("resourceType", "'device'")}, ${orRare("resourceId", "made.resource")},
      ${orRare("resourceLabel", "case when made.lot < 30 then 'Sensor' else 'Sensor ' || right(made.resource, 4) end")},
      case when made.failed then '[]'::jsonb else jsonb_build_array(jsonb_build_object(
        'field', ${orRare("changedField", "'name'")}, 'op', 'REPLACE', 'old', 'Sensor of old', 'new', 'Sensor ' || made.n)) end,
      case when made.failed
        then jsonb_build_array(jsonb_build_object('field', 'name', 'value', 'Sensor ' || made.n)) else '[]'::jsonb end,
      ${orRare("operation", "'updateDevice'")},
      case when rare = 'requestId' then ${quote(RARE.requestId)}::uuid
        when made.of_request then ${quote(COMMON.requestId)}::uuid else gen_random_uuid() end,
      case when rare = 'sessionId' then ${quote(RARE.sessionId)}::uuid
        when made.lot < 30 then ${quote(COMMON.sessionId)}::uuid else md5('session ' || made.tenant_id || made.lot)::uuid end,
      made.n, 0,
      ${orRare("traceId", `case when made.lot < 10 then ${quote(COMMON.traceId)} when made.lot < 50 then md5(made.n::text) end`)},
      (${orRare("ip", "case when made.lot < 30 then '10.0.0.1' else '10.1.0.' || made.lot end")})::inet,
      'auditql-bench', decode(repeat(md5(made.n::text), case when made.failed then 11 else 12 end), 'hex')
    from (
      select n, at, rare, of_request, tenant_id, lot,
        (lot between 90 and 94 and rare is null) or coalesce(rare in ('outcome', 'errorCode'), false) as failed,
        case when lot < 30 then ${quote(COMMON.actorId)} else 'u-' || lot end as actor,
        case when lot < 10 then ${quote(COMMON.resourceId)}
          else md5(tenant_id || (random() * 1000)::int)::uuid::text end as resource
      from (
        select n, at, rare, of_request,
          case when rare is not null or of_request then 't001'
            else 't' || lpad((select min(share.n) from bench.share where upto >= luck)::text, 3, '0') end as tenant_id,
          (n * 37) % 100 as lot
        from (
          select n, random() as luck,
            date_trunc('month', now(), 'UTC')
              + (date_trunc('month', now(), 'UTC') + interval '4 months' - date_trunc('month', now(), 'UTC'))
              * ((n + 0.5) / total) as at,
            n % (total / ${String(REQUEST_ENTRIES)}) = ${String(RARE_FIELDS.length)} as of_request,
            (array[${RARE_FIELDS.map(quote).join(", ")}])[n % (total / ${String(RARE_ENTRIES)}) + 1] as rare
          from generate_series(first, last) as n
        ) as numbered
      ) as placed
    ) as made
    order by made.n;
  end`;
