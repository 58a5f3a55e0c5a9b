import { madeParts } from "./made.js";
import { keptTables, logTables } from "./roles-and-tables.js";

/** A table that the migrations didn't make is no part of the log. */
const madeTables = `'{${[...new Set(madeParts.map(({ root }) => root))].join()}}'`;

// What the triggers' functions do is looked at apart. pg_trigger.tgtype: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
const guards = `
  guard (root, trigger, kind, function, event, each) as (values
    (null, 'refuse_row', 1 + 2 + 8 + 16, 'refuse_change', 'BEFORE UPDATE OR DELETE', 'ROW'),
    (null, 'refuse_statement', 2 + 8 + 16, 'refuse_change', 'BEFORE UPDATE OR DELETE', 'STATEMENT'),
    (null, 'refuse_truncate', 2 + 32, 'refuse_change', 'BEFORE TRUNCATE', 'STATEMENT'),
    ('entry', 'admit', 1 + 2 + 4, 'admit', 'BEFORE INSERT', 'ROW'),
    ('entry_field', 'refuse_stranger', 1 + 2 + 4, 'refuse_stranger', 'BEFORE INSERT', 'ROW')
  )`;

const isGuard = `
  tgname = guard.trigger and tgtype = kind and tgenabled = 'A' and tgqual is null and tgnargs = 0
  and tgattr::text = ''
  and exists (
    select from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      join pg_roles on pg_roles.oid = proowner
    where pg_proc.oid = tgfoid and proname = guard.function and nspname = 'audit_guard' and rolname = 'audit_guard'
  )`;

// Making a row trigger on the parent makes it on the partitions: they are named only where the parent has its own.
const missingGuards = `
  with ${logTables}, ${guards},
  missing as (
    select log.*, guard.trigger, event, each, function
    from log join guard on coalesce(guard.root, log.root) = log.root
    where not exists (select from pg_trigger where tgrelid = relid and ${isGuard})
  )
  select format('%s lacks its guard %I, or it doesn''t fire always. SET ROLE audit_guard; CREATE OR REPLACE TRIGGER %2$I '
    '%3$s ON %1$s FOR EACH %4$s EXECUTE FUNCTION audit_guard.%5$I(); ALTER TABLE %1$s ENABLE ALWAYS TRIGGER %2$I; '
    'RESET ROLE;', name, trigger, event, each, function) as problem
  from missing
  where level = 0 or each = 'STATEMENT' or not exists (
    select from missing parent where parent.level = 0 and (parent.root, parent.trigger) = (missing.root, missing.trigger)
  )`;

// A trigger, a rule or a foreign key of someone else's may swallow an entry, alter it on its way in, or hold its rows.
const strangers = `
  with ${logTables}, ${keptTables}, ${guards}
  select format('%s has a trigger %I that the migrations didn''t make. SET ROLE audit_guard; DROP TRIGGER %2$I ON %1$s; '
    'RESET ROLE;', name, tgname) as problem
  from log join pg_trigger on tgrelid = relid and not tgisinternal
  where tgname not in (select guard.trigger from guard where coalesce(guard.root, log.root) = log.root)
  union all
  select format('%s has a rule %I. SET ROLE audit_guard; DROP RULE %2$I ON %1$s; RESET ROLE;', name, rulename)
  from kept join pg_rewrite on ev_class = relid
  where root = any (${madeTables})
  union all
  select format('A foreign key binds %s. ALTER TABLE %s DROP CONSTRAINT %I;', name, conrelid::regclass, conname)
  from log join pg_constraint on contype = 'f' and relid in (conrelid, confrelid)
  where conparentid = 0
  union all
  select format('Row-level security of %s is off. SET ROLE audit_guard; ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY; '
    'RESET ROLE;', name)
  from kept join pg_class on pg_class.oid = relid
  where root = any (${madeTables}) and not relrowsecurity`;

// DEFAULT takes what has no month of its own, so an entry is lost only where neither is there.
const missingPartitions = `
  with ${logTables}
  select format('audit.%s has no partition for now. SELECT audit_guard.keep_partitions();', root) as problem
  from log
    join pg_class on pg_class.oid = relid
    cross join lateral pg_get_expr(relpartbound, relid) as bound
    cross join lateral regexp_match(bound, 'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)') as range (ids)
  where root <> 'entry_key'
  group by root
  having not coalesce(bool_or(
    bound = 'DEFAULT' or audit.id_floor(now()) >= ids[1]::uuid and audit.id_floor(now()) < ids[2]::uuid), false)`;

/** What of the log's triggers and partitions is gone, and what was added to its tables: a look each, which answers problems. */
export const triggers: readonly string[] = [missingGuards, strangers, missingPartitions];
