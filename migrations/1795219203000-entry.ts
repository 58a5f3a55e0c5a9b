import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * The log's tables, who may do what to them, and the wall between tenants.
 *
 * Text is compared by its bytes (collation "C"): an upgrade of the system's collations can't spoil an index of the log.
 */
export class Entry1795219203000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, entry, entryField, entryKey, indexes, ownership, policies, grants);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, `drop table audit.entry_key, audit.entry_field, audit.entry`);
  }
}

// What its values must be, and what follows from them, the trigger admit says: declared CHECKs and generated columns are
// planned anew by every INSERT, which took half of its time.
const entry = `
  create table audit.entry (
    id uuid not null default audit.new_id(),
    tenant_id text collate "C" not null,
    occurred_at timestamptz not null,
    format_version smallint not null,
    actor_type text collate "C" not null,
    actor_id text collate "C",
    actor_name text collate "C",
    on_behalf_of text collate "C",
    subsystem text collate "C",
    issuer text collate "C",
    token_id text collate "C",
    client_id text collate "C",
    action text collate "C",
    event_type text collate "C" not null,
    outcome text collate "C" not null,
    error_code text collate "C",
    error_message text collate "C",
    resource_type text collate "C",
    resource_id text collate "C",
    resource_label text collate "C",
    resource_label_folded text collate "C",
    changes jsonb not null,
    attempted jsonb not null,
    reason text collate "C",
    operation text collate "C",
    request_id uuid,
    client_request_id text collate "C",
    session_id uuid,
    sequence_number bigint,
    ordinal integer not null,
    trace_id text collate "C",
    ip inet,
    user_agent text collate "C",
    cause_id uuid,
    claimed_at timestamptz,
    repeat_count integer,
    repeated_sequence_numbers int8multirange,
    access jsonb,
    salts bytea not null,
    xact_id xid8 not null,
    database_user text collate "C" not null,
    application_name text collate "C" not null,

    constraint entry_pkey primary key (tenant_id, id)
  ) partition by range (id)`;

// One row for each field that an entry changed: under row-level security no condition on jsonb reaches an index.
const entryField = `
  create table audit.entry_field (
    tenant_id text collate "C" not null,
    field text collate "C" not null,
    id uuid not null,
    constraint entry_field_pkey primary key (tenant_id, field, id)
  ) partition by range (id)`;

// A partitioned table can't hold a key across its partitions: what may be sent again takes its place here first.
const entryKey = `
  create table audit.entry_key (
    session_id uuid not null,
    sequence_number bigint not null,
    ordinal integer not null,
    constraint entry_key_pkey primary key (session_id, sequence_number, ordinal)
  )`;

// Each of a tenant's ways in ends in the order of the pages. Platform readers have (id). Of indexes that cost alike, as all
// do on a month's partition before it has statistics, the planner takes the last one made: that is the fence's.
const keys: readonly (readonly [columns: string, where: string])[] = [
  ["id", ""],
  ["tenant_id, resource_type, id", ""],
  ["tenant_id, resource_label_folded, id", ""],
  ["tenant_id, event_type, id", ""],
  ["tenant_id, action, id", ""],
  ["tenant_id, operation, id", ""],
  ["tenant_id, outcome, id", "where outcome <> 'SUCCESS'"],
  ["tenant_id, error_code, id", "where error_code is not null"],
  ["tenant_id, actor_id, id", ""],
  ["tenant_id, actor_name, id", ""],
  ["tenant_id, actor_type, id", "where actor_type <> 'USER'"],
  ["tenant_id, on_behalf_of, id", "where on_behalf_of is not null"],
  ["tenant_id, request_id, id", ""],
  ["tenant_id, session_id, id", ""],
  ["tenant_id, trace_id, id", "where trace_id is not null"],
  ["tenant_id, ip, id", ""],
  ["tenant_id, resource_id, id", ""],
];

// No key stands twice in any: to look for duplicates before a page is split would be in vain.
const indexes = keys
  .map(([columns, where]) => `create index on audit.entry (${columns}) with (deduplicate_items = off) ${where}`)
  .join(";");

const ownership = `
  alter table audit.entry owner to audit_owner;
  alter table audit.entry_field owner to audit_owner;
  alter table audit.entry_key owner to audit_owner`;

const walled = `
  tenant_id = any (string_to_array(current_setting('audit.tenants', true), ','))
  or current_setting('audit.tenants', true) = '*'`;

// Not forced: the owner's own functions would see nothing. RETURNING needs a policy for SELECT beside that for INSERT.
const policies = `
  alter table audit.entry enable row level security;
  alter table audit.entry_field enable row level security;
  alter table audit.entry_key enable row level security;
  create policy writer_inserts on audit.entry for insert to audit_writer with check (true);
  create policy writer_inserts on audit.entry_key for insert to audit_writer with check (true);
  create policy writer_returns on audit.entry for select to audit_writer
    using (xact_id = pg_current_xact_id_if_assigned());
  create policy reader_selects on audit.entry for select to audit_reader using (${walled});
  create policy reader_selects on audit.entry_field for select to audit_reader using (${walled})`;

// GENERATED ALWAYS alone is no protection under a grant of the whole table (OVERRIDING SYSTEM VALUE).
const grants = `
  grant insert (
    tenant_id, format_version, actor_type, actor_id, actor_name, on_behalf_of, subsystem, issuer, token_id, client_id,
    action, event_type, outcome, error_code, error_message, resource_type, resource_id, resource_label, changes,
    attempted, reason, operation, request_id, client_request_id, session_id, sequence_number, ordinal, trace_id, ip,
    user_agent, cause_id, claimed_at, repeat_count, repeated_sequence_numbers, access, salts
  ) on audit.entry to audit_writer;
  grant insert (session_id, sequence_number, ordinal) on audit.entry_key to audit_writer;
  grant select (id, ordinal, xact_id) on audit.entry to audit_writer;
  grant select (
    id, tenant_id, occurred_at, format_version, actor_type, actor_id, actor_name, on_behalf_of, subsystem, issuer,
    token_id, client_id, action, event_type, outcome, error_code, error_message, resource_type, resource_id,
    resource_label, resource_label_folded, changes, attempted, reason, operation, request_id, client_request_id,
    session_id, sequence_number, ordinal, trace_id, ip, user_agent, cause_id, claimed_at, repeat_count,
    repeated_sequence_numbers, access, xact_id, database_user, application_name
  ) on audit.entry to audit_reader;
  grant select on audit.entry_field to audit_reader`;
