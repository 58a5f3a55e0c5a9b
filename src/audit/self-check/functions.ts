import type { ClientBase } from "pg";
import { describedFunctions } from "./describe-functions.js";
import { madeFunctions } from "./made.js";
import { myRoles } from "./roles-and-tables.js";
import { look } from "./try-out.js";

/** Which functions of the guards are gone, other than the migrations made them, more than they made, or open to the API. */
export async function functionFindings(client: ClientBase): Promise<string[]> {
  const made = JSON.stringify(madeFunctions);
  return [...(await look(client, altered, [made])), ...(await look(client, callable, [made]))];
}

const given = `
  made as (
    select * from jsonb_to_recordset($1)
      as given (name text, attributes text, sources text[], "isWriters" boolean, migration text)
  )`;

// No SQL is given for what differs: a function is made by its migration's text alone.
const altered = `
  with ${given}, ${describedFunctions}
  select case
    when described.name is null then format('There is no function %s. As audit_guard, make it as %s does, '
      'and later migrations alter it.',
      made.name, migration)
    when made.name is null then format('The migrations didn''t make the function %s. SET ROLE audit_guard; '
      'DROP FUNCTION %1$s; RESET ROLE;', described.name)
    else format('The function %s isn''t what the migrations made: %s. As audit_guard, make it again as %s does, and later '
      'migrations alter it, and compare with a fresh database; where a newer version migrated this one, start that.', made.name, concat_ws('; ',
        case when source <> all (sources) then 'its source is another' end,
        case when described.attributes <> made.attributes
          then format('it is "%s", not "%s"', described.attributes, made.attributes) end), migration)
    end as problem
  from made full join described using (name)
  where made.name is null or described.name is null
    or source <> all (sources) or described.attributes <> made.attributes
  order by name`;

// Only what was granted to a role itself: what it may do as a member of another shows there.
const callable = `
  with ${myRoles}, ${given}, ${describedFunctions}
  select format('The API''s login %I may call %s. REVOKE EXECUTE ON FUNCTION %2$s FROM %3$s;', current_user, described.name,
    string_agg(grantees.name, ', ' order by grantees.name)) as problem
  from described join made using (name)
    join pg_proc on pg_proc.oid = described.oid
    cross join lateral aclexplode(coalesce(proacl, acldefault('f', proowner))) as held
    join (
      select oid, quote_ident(rolname) from mine where rolname not in ('audit_owner', 'audit_guard')
      union all select 0, 'PUBLIC'
    ) as grantees (oid, name) on grantees.oid = grantee
  where not "isWriters"
  group by described.name`;
