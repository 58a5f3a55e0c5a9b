/** Whom the login may act as, itself included. A superuser may act as anyone: its might is named once, not for each. */
export const myRoles = `
  mine as (
    select pg_roles.* from pg_roles, (select rolsuper from pg_roles where rolname = current_user) as me (mighty)
    where case when mighty then rolname = current_user else pg_has_role(current_user, oid, 'MEMBER') end
  )`;

const treesOf = (roots: string): string => `
    select root.relname as root, tree.relid, tree.relid::regclass as name, tree.level, tree.isleaf
    from pg_class root
      join pg_namespace on pg_namespace.oid = root.relnamespace
      cross join lateral (
        select relid, level, isleaf from pg_partition_tree(root.oid)
        union all select root.oid, 0, true where root.relkind <> 'p'
      ) as tree
    where nspname = 'audit' and ${roots}`;

/** The tables that hold the log's rows, each with its partitions. */
export const logTables = `
  log as (${treesOf(`root.relname in ('entry', 'entry_field', 'entry_key')`)}
  )`;

/** Those, and what stands beside them in schema audit. */
export const keptTables = `
  kept as (${treesOf(`root.relkind in ('r', 'p') and not root.relispartition`)}
  )`;
