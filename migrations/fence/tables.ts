/** Neither tenants' nor clients': nobody but the owners may see or write any of these. */
export const tables = `
  create table audit.fence_mode (
    login text collate "C" not null constraint fence_mode_pkey primary key
      constraint fence_mode_login check (octet_length(login) between 1 and 63),
    mode text collate "C" not null constraint fence_mode_mode check (mode in ('refuse', 'record'))
  );

  -- The policies that stand now, by field.
  create table audit.fence_policy (
    resource_type text collate "C" not null,
    field text collate "C" not null,
    policy text collate "C" not null
      constraint fence_policy_policy check (policy in ('track', 'track as a set', 'secret', 'ignore')),
    constraint fence_policy_pkey primary key (resource_type, field)
  );

  -- The policies of versions that still run: those that stand now have no end.
  create table audit.fence_standing (
    resource_type text collate "C" not null,
    digest text collate "C" not null,
    policies jsonb not null,
    until timestamptz,
    constraint fence_standing_pkey primary key (resource_type, digest)
  );

  -- What was made on each table, so that it shows where it is gone or other than it was.
  create table audit.fence (
    resource_type text collate "C" not null constraint fence_pkey primary key,
    relation oid not null constraint fence_relation unique,
    table_name text collate "C" not null,
    digest text collate "C" not null,
    function_digest text collate "C" not null,
    triggers text[] not null,
    columns text[] not null,
    aside xid8
  );

  -- Rows that one transaction changed more than once: the version up to which that was judged.
  create unlogged table audit.fence_judged (
    xact_id xid8 not null,
    relation oid not null,
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    version tid,
    constraint fence_judged_pkey primary key (xact_id, relation, tenant_id, id)
  );

  alter table audit.fence_mode owner to audit_owner;
  alter table audit.fence_policy owner to audit_owner;
  alter table audit.fence_standing owner to audit_owner;
  alter table audit.fence owner to audit_owner;
  alter table audit.fence_judged owner to audit_owner;
  alter table audit.fence_mode enable row level security;
  alter table audit.fence_policy enable row level security;
  alter table audit.fence_standing enable row level security;
  alter table audit.fence enable row level security;
  alter table audit.fence_judged enable row level security`;
