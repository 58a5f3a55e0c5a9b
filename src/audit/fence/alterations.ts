import type { ClientBase } from "pg";
import type { Fence } from "./fence.js";

/** What the catalogue has of one audited table's fence. */
interface Found {
  readonly source: string | null;
  readonly settings: readonly string[] | null;
  /** Whether it is the guard's, and runs as the guard. */
  readonly isGuards: boolean | null;
  /** How many of its two triggers fire as they are made to. */
  readonly triggers: number;
}

/** The longest that policies which were replaced may stand, with an hour for clocks that differ. */
const longestGrace = 25 * 60 * 60 * 1000;

/**
 * In what a fence that bears this code's digest is other than this code makes it, whatever the database noted of it: a part
 * of a sentence each. Empty where it is as it was made.
 */
export async function fenceAlterations(client: ClientBase, fence: Fence): Promise<string[]> {
  const { rows } = await client.query<Found>(look, [`fence_${fence.type}`, fence.table]);
  const [found] = rows;
  const made = fence.functionSql([]);
  const isSame =
    found?.isGuards === true &&
    withoutSparing(found.source ?? "") === bodyOf(made) &&
    String(found.settings?.map(plain).sort()) === String(settingsOf(made).map(plain).sort());
  return [
    ...(isSame ? [] : ["its function isn't what the code makes"]),
    ...(found?.triggers === 2 ? [] : ["a trigger doesn't fire as the code makes it"]),
  ];
}

const bodyOf = (functionSql: string): string => functionSql.split("$fence$")[1] ?? "";

const settingsOf = (functionSql: string): string[] =>
  [...(functionSql.split("$fence$")[0] ?? "").matchAll(/^set (\S+) = (.+)$/gm)].map(
    ([, name = "", value = ""]) => `${name}=${value}`,
  );

const plain = (setting: string): string => setting.replaceAll(/["']/g, "").toLowerCase().trim();

const name = /(?: E)?'(?:[^']|'')*'/.source;
const sparing = new RegExp(
  String.raw`case when clock_timestamp\(\) < '([^']+)'::timestamptz then array\[${name}(?:, ${name})*\]::text\[\] else '\{\}' end`,
);
const sparings = new RegExp(`${sparing.source}(?: \\|\\| ${sparing.source})*`, "g");

/** A function's body as it is made where nothing is spared; what is spared for longer than may be is left in. */
const withoutSparing = (source: string): string =>
  source.replaceAll(sparings, (spared) =>
    [...spared.matchAll(new RegExp(sparing, "g"))].every(
      ([, until = ""]) => Date.parse(until) < Date.now() + longestGrace,
    )
      ? "'{}'"
      : spared,
  );

// pg_trigger.tgtype: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
const look = `
  select prosrc as source, proconfig as settings,
    prosecdef and lanname = 'plpgsql' and proowner = to_regrole('audit_guard') as "isGuards",
    (
      select count(*)::integer from pg_trigger
        join pg_proc called on called.oid = tgfoid and called.pronamespace = to_regnamespace('audit_guard')
      where tgrelid = to_regclass($2) and tgenabled = 'A' and tgqual is null and tgattr::text = '' and tgnargs = 0
        and case tgname
          when 'audit_fence'
            then tgtype = 1 + 4 + 8 + 16 and tgdeferrable and tginitdeferred and called.proname = $1
          when 'audit_fence_truncate' then tgtype = 2 + 32 and called.proname = 'refuse_truncation'
        end
    ) as triggers
  from (select) as once
    left join (pg_proc join pg_language on pg_language.oid = prolang)
      on proname = $1 and pronargs = 0 and pronamespace = to_regnamespace('audit_guard')`;
