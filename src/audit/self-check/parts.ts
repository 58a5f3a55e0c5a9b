import type { ClientBase } from "pg";
import { describedParts } from "./describe-parts.js";
import { madeParts } from "./made.js";
import { look } from "./try-out.js";

/** Which policies, defaults and constraints of the tables are gone, other than the migrations made them, or more than they made. */
export function partFindings(client: ClientBase): Promise<string[]> {
  return look(client, altered, [JSON.stringify(madeParts)]);
}

// Of a partition it is the default and the constraints that count: the rest comes of its parent.
const wanted = `
  made as (select * from jsonb_to_recordset($1) as given (root text, kind text, part text, definition text)),
  wanted as (
    select root, relid, level, kind, case when kind = 'constraint' and level > 0 then definition else part end as part,
      definition
    from made join kept using (root)
    where level = 0 or kind in ('default', 'constraint')
  )`;

// A table that the migrations didn't make is no part of the log.
const differing = `
  differing as (
    select root, relid, level, kind, part, coalesce(own_name, part) as own_name,
      wanted.definition as wanted, described.definition as found
    from wanted full join described using (root, relid, level, kind, part)
    where root in (select made.root from made) and wanted.definition is distinct from described.definition
  )`;

const undo = `
  case
    when found is null then ''
    when kind = 'policy' then format('DROP POLICY %s ON %s; ', own_name, relid::regclass)
    when kind = 'trigger' then format('DROP TRIGGER %s ON %s; ', own_name, relid::regclass)
    when kind = 'constraint' then format('ALTER TABLE %s DROP CONSTRAINT %s; ', relid::regclass, own_name)
    else format('ALTER TABLE %s ALTER %s DROP %s; ', relid::regclass, own_name, case
      when kind = 'not null' then 'NOT NULL' when found = 'GENERATED AS IDENTITY' then 'IDENTITY'
      when starts_with(found, 'GENERATED') then 'EXPRESSION' else 'DEFAULT' end)
  end`;

const redo = `
  case
    when wanted is null then ''
    when kind = 'policy' then format('CREATE POLICY %s ON %s %s; ', own_name, relid::regclass, wanted)
    when kind = 'trigger' then wanted || '; '
    when kind = 'constraint' then format('ALTER TABLE %s ADD %s%s; ', relid::regclass,
      case level when 0 then 'CONSTRAINT ' || own_name || ' ' else '' end, wanted)
    else format('ALTER TABLE %s ALTER %s SET %s; ', relid::regclass, own_name, wanted)
  end`;

// What is wrong with a table is wrong with its partitions, and mended with it.
const altered = `
  with ${describedParts}, ${wanted}, ${differing}
  select format(case
      when wanted is null then '%1$s has a %2$s that the migrations didn''t make: %3$s. '
      when found is null then '%1$s lacks its %2$s. '
      else 'The %2$s of %1$s isn''t what the migrations made, but %3$s. '
    end || 'SET ROLE audit_guard; %4$s%5$sRESET ROLE;',
    relid::regclass, case when kind in ('default', 'not null') then kind || ' for ' else kind || ' ' end || own_name, found,
    ${undo}, ${redo}) as problem
  from differing
  where level = 0 or not exists (
    select from differing parent
    where parent.level = 0 and (parent.root, parent.kind) = (differing.root, differing.kind)
      and (parent.part = differing.part or differing.part in (parent.wanted, parent.found))
  )
  order by relid::regclass::text, kind, own_name`;
