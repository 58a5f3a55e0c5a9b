/** A function of schema audit or audit_guard, as the migrations make it. */
export interface MadeFunction {
  /** With its schema and the types of its arguments. */
  readonly name: string;
  /** All but its source: whose it is, what it takes and answers, and how it is run. */
  readonly attributes: string;
  /** The digest of its source; of one that the migrations make by the server's version, of each form. */
  readonly sources: readonly string[];
  /** Whether who writes entries may call it. */
  readonly isWriters: boolean;
  /** The file that makes it, the last one to do so. */
  readonly migration: string;
}

/**
 * The functions of the two schemas as they are now, but for those of the audited tables' fences, which each start makes and
 * looks at. The text of a body that the server keeps parsed is the same on each version that we run on.
 */
export const describedFunctions = `
  described as (
    select pg_proc.oid, pg_proc.oid::regprocedure::text as name,
      concat_ws(' ',
        'owner', quote_ident(rolname), 'language', lanname, 'kind', prokind,
        'takes', '(' || pg_get_function_arguments(pg_proc.oid) || ')',
        'answers', coalesce(pg_get_function_result(pg_proc.oid), '()'),
        case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
        'parallel', proparallel, case when proisstrict then 'strict' end, case when proleakproof then 'leakproof' end,
        case when prosecdef then 'security definer' end, 'support ' || nullif(prosupport::oid, 0)::regprocedure::text,
        'set ' || array_to_string(proconfig, ', ')
      ) as attributes,
      encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(pg_proc.oid), prosrc), 'UTF8')), 'hex') as source
    from pg_proc
      join pg_language on pg_language.oid = prolang
      join pg_roles on pg_roles.oid = proowner
    where pronamespace in (to_regnamespace('audit'), to_regnamespace('audit_guard'))
      and not (
        pronamespace = to_regnamespace('audit_guard') and starts_with(proname, 'fence_') and prorettype = 'trigger'::regtype
      )
  )`;
