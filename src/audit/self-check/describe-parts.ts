import { keptTables } from "./roles-and-tables.js";

/** What the migrations make of a table of schema audit beside its columns and, where it holds the log's rows, its triggers. */
export interface MadePart {
  /** Without its schema. */
  readonly root: string;
  readonly kind: "policy" | "default" | "not null" | "constraint" | "trigger";
  /** Its own name, or its column's; quoted where it has to be. */
  readonly part: string;
  /** As SQL has it, so that it can be made again. */
  readonly definition: string;
}

const policies = `
    select root, relid, level, 'policy' as kind, quote_ident(polname) as part, quote_ident(polname) as own_name,
      concat_ws(' ',
        'AS', case when polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end,
        'FOR', case polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
          else 'ALL' end,
        'TO', (
          select string_agg(coalesce(quote_ident(rolname), 'PUBLIC'), ', ' order by rolname)
          from unnest(polroles) as role left join pg_roles on pg_roles.oid = role
        ),
        'USING (' || pg_get_expr(polqual, relid) || ')', 'WITH CHECK (' || pg_get_expr(polwithcheck, relid) || ')'
      ) as definition
    from kept join pg_policy on polrelid = relid`;

const defaults = `
    select root, relid, level, 'default', quote_ident(attname), quote_ident(attname),
      case when attgenerated = '' then 'DEFAULT ' else 'GENERATED ' || attgenerated::text || ' AS ' end || pg_get_expr(adbin, relid)
    from kept join pg_attrdef on adrelid = relid join pg_attribute on (attrelid, attnum) = (relid, adnum)
    union all
    select root, relid, level, 'default', quote_ident(attname), quote_ident(attname), 'GENERATED AS IDENTITY'
    from kept join pg_attribute on attrelid = relid
    where attidentity <> '' and not attisdropped
    union all
    select root, relid, level, 'not null', quote_ident(attname), quote_ident(attname), 'NOT NULL'
    from kept join pg_attribute on attrelid = relid
    where attnotnull and attnum > 0 and not attisdropped and level = 0`;

// A partition's constraints have names of their own.
const constraints = `
    select root, relid, level, 'constraint', case level when 0 then quote_ident(conname) else definition end,
      quote_ident(conname), definition
    from kept join pg_constraint on conrelid = relid cross join lateral pg_get_constraintdef(pg_constraint.oid) as definition
    where contype in ('c', 'p', 'u', 'x')`;

const triggers = `
    select root, relid, level, 'trigger', quote_ident(tgname), quote_ident(tgname),
      pg_get_triggerdef(pg_trigger.oid) || case tgenabled when 'O' then '' else format('; ALTER TABLE %s %s TRIGGER %I', relid::regclass,
        case tgenabled when 'A' then 'ENABLE ALWAYS' when 'R' then 'ENABLE REPLICA' else 'DISABLE' end, tgname) end
    from kept join pg_trigger on tgrelid = relid
    where not tgisinternal and root not in ('entry', 'entry_field', 'entry_key')`;

/** The tables' parts as they are now, those of partitions with them. */
export const describedParts = `
  ${keptTables},
  described as (${policies}
    union all${defaults}
    union all${constraints}
    union all${triggers}
  )`;
