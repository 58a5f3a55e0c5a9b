import { rowsOf } from "../../scratch/sql.js";

/** The log as it is stored, and what guards it. */
export interface LogState {
  /** By id: each row's text, whole. */
  readonly rows: ReadonlyMap<string, string>;
  /** Of the tables beside it. */
  readonly beside: string;
  /** Of tables, columns, rights, triggers, functions, policies and rules. */
  readonly structure: string;
}

/** Looks at all of it as the superuser; null where the log can't be read any more. */
export async function logState(adminUrl: string): Promise<LogState | null> {
  try {
    const rows = await rowsOf<{ id: string; text: string }>(
      adminUrl,
      `select id, tableoid::regclass::text || entry::text as text from audit.entry order by id`,
    );
    const [beside] = await rowsOf<{ digest: string }>(adminUrl, besideSql);
    const [structure] = await rowsOf<{ digest: string }>(adminUrl, structureSql);
    return {
      rows: new Map(rows.map(({ id, text }) => [id, text])),
      beside: beside?.digest ?? "",
      structure: structure?.digest ?? "",
    };
  } catch {
    return null;
  }
}

/** How the log differs from what it was, in words; what was only added isn't named. */
export function alterations(before: LogState, now: LogState | null): string[] {
  if (now === null) return ["the log can't be read"];
  const altered = [...before.rows].filter(([id, text]) => now.rows.get(id) !== text).length;
  return [
    ...(altered > 0 ? [`${String(altered)} of ${String(before.rows.size)} entries are gone or other`] : []),
    ...(now.beside === before.beside || now.rows.size > before.rows.size ? [] : ["the tables beside it are other"]),
    ...(now.structure === before.structure ? [] : ["what guards it is other"]),
  ];
}

/** The ids of entries that weren't there before. */
export const added = (before: LogState, now: LogState | null): string[] =>
  [...(now?.rows.keys() ?? [])].filter((id) => !before.rows.has(id));

const besideSql = `
  select md5(concat(
    (select string_agg(it::text, '|' order by it::text) from audit.entry_field it),
    (select string_agg(it::text, '|' order by it::text) from audit.entry_key it)
  )) as digest`;

const ours = `array(select oid from pg_namespace where nspname in ('audit', 'audit_guard'))`;

const structureSql = `
  with parts (part) as (
    select concat_ws(' ', 'table', oid::regclass, relowner, relacl, relkind, relpersistence, relrowsecurity, relispartition)
      from pg_class where relnamespace = any (${ours})
    union all
    select concat_ws(' ', 'column', attrelid::regclass, attname, atttypid, attnotnull, attacl, atthasdef, attisdropped)
      from pg_attribute join pg_class on pg_class.oid = attrelid where relnamespace = any (${ours}) and attnum > 0
    union all
    select concat_ws(' ', 'trigger', pg_get_triggerdef(pg_trigger.oid), tgenabled, tgfoid)
      from pg_trigger join pg_class on pg_class.oid = tgrelid where relnamespace = any (${ours})
    union all
    select concat_ws(' ', 'function', oid::regprocedure, proowner, proacl, prosecdef, proconfig, md5(pg_get_functiondef(oid)))
      from pg_proc where pronamespace = any (${ours}) and prokind = 'f'
    union all
    select concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polroles, pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid)) from pg_policy
    union all
    select concat_ws(' ', 'rule', ev_class::regclass, rulename) from pg_rewrite
      join pg_class on pg_class.oid = ev_class where relnamespace = any (${ours})
    union all
    select concat_ws(' ', 'bond', conname, conrelid::regclass, confrelid::regclass) from pg_constraint
      join pg_class on pg_class.oid in (conrelid, confrelid) where contype = 'f' and relnamespace = any (${ours})
    union all
    select concat_ws(' ', 'inherits', inhrelid::regclass, inhparent::regclass) from pg_inherits
      join pg_class on pg_class.oid = inhparent where relnamespace = any (${ours})
    union all
    select concat_ws(' ', 'event trigger', evtname, evtevent, evtfoid, evtenabled) from pg_event_trigger
    union all
    select concat_ws(' ', 'schema', nspname, nspowner, nspacl) from pg_namespace where oid = any (${ours})
    union all
    select concat_ws(' ', 'member', roleid::regrole, member::regrole) from pg_auth_members
  )
  select md5(string_agg(part, E'\\n' order by part)) as digest from parts`;
