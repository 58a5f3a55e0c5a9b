import type pg from "pg";
import { anonymous } from "../../../src/audit/entry.js";
import type { Caller } from "../../../src/audit/context.js";
import { AuditLog } from "../../../src/audit/read/audit-log.js";
import { resourceKey, type ResourceDirectory } from "../../../src/audit/read/resource-directory.js";
import type { Vocabulary } from "../../../src/audit/read/vocabulary.js";
import { openPool, query, type TestDatabase } from "../../support/postgres.js";

/** What a test says of a row of `audit.entry`; the rest is as {@link ordinary} has it. */
export interface Row {
  readonly tenant_id?: string;
  /** Makes the id, which then holds this instant; now where it isn't given. */
  readonly at?: string;
  readonly id?: string;
  readonly actor_type?: string;
  readonly actor_id?: string | null;
  readonly actor_name?: string | null;
  readonly on_behalf_of?: string | null;
  readonly subsystem?: string | null;
  readonly action?: string | null;
  readonly event_type?: string;
  readonly outcome?: string;
  readonly error_code?: string | null;
  readonly error_message?: string | null;
  readonly resource_type?: string | null;
  readonly resource_id?: string | null;
  readonly resource_label?: string | null;
  readonly changes?: readonly { readonly field: string; readonly op: string; readonly [key: string]: unknown }[];
  readonly attempted?: readonly { readonly field: string; readonly [key: string]: unknown }[];
  readonly operation?: string | null;
  readonly request_id?: string | null;
  readonly session_id?: string | null;
  readonly sequence_number?: string | null;
  readonly trace_id?: string | null;
  readonly ip?: string | null;
  readonly claimed_at?: string | null;
  readonly repeat_count?: number | null;
  readonly repeated_sequence_numbers?: string | null;
  readonly access?: Readonly<Record<string, unknown>> | null;
  readonly reported_by?: string | null;
  readonly correlation_session_id?: string | null;
  readonly correlation_sequence_number?: string | null;
}

const ordinary: Required<Omit<Row, "at" | "id">> = {
  tenant_id: "acme",
  actor_type: "USER",
  actor_id: "u-1",
  actor_name: "Sample Admin",
  on_behalf_of: null,
  subsystem: null,
  action: "UPDATE",
  event_type: "device.updated",
  outcome: "SUCCESS",
  error_code: null,
  error_message: null,
  resource_type: "device",
  resource_id: "d-1",
  resource_label: "kiosk-7",
  changes: [],
  attempted: [],
  operation: "updateDevice",
  request_id: null,
  session_id: null,
  sequence_number: null,
  trace_id: null,
  ip: null,
  claimed_at: null,
  repeat_count: null,
  repeated_sequence_numbers: null,
  access: null,
  reported_by: null,
  correlation_session_id: null,
  correlation_sequence_number: null,
};

const columns = Object.keys(ordinary);

/** Inserts rows as the superuser and gives their ids, in the order of the rows. */
export async function insertRows({ adminUrl }: TestDatabase, rows: readonly Row[]): Promise<string[]> {
  const inserted = await query<{ id: string }>(
    adminUrl,
    `with r as (
       select r.*, case when r.given is not null then r.given when r.at is null then audit.new_id()
         else (left(audit.id_floor(r.at)::text, 19) || right(gen_random_uuid()::text, 17))::uuid end as id
       from jsonb_to_recordset($1) as r(given uuid, at timestamptz, tenant_id text, actor_type text, actor_id text,
         actor_name text, on_behalf_of text, subsystem text, action text, event_type text, outcome text, error_code text,
         error_message text, resource_type text, resource_id text, resource_label text, changes jsonb, attempted jsonb,
         operation text, request_id uuid, session_id uuid, sequence_number bigint, trace_id text, ip inet, claimed_at timestamptz,
         repeat_count int, repeated_sequence_numbers int8multirange, access jsonb, reported_by text,
         correlation_session_id uuid, correlation_sequence_number bigint, place bigint)
     ), i as (
       insert into audit.entry (id, ${columns.join(", ")}, format_version, ordinal, salts)
       select id, ${columns.join(", ")}, 1, 0,
         decode(repeat('00', 16 * (10 + 2 * jsonb_array_length(changes) + jsonb_array_length(attempted))), 'hex')
       from r
     )
     select id from r order by place`,
    [JSON.stringify(rows.map((row, place) => ({ ...ordinary, ...row, given: row.id, place })))],
  );
  return inserted.map(({ id }) => id);
}

export const vocabulary: Vocabulary = {
  resourceTypes: new Set(["device", "chat", "group", "group_budget"]),
  eventTypes: new Set(["device.created", "device.updated", "device.deleted", "device.update_failed", "chat.updated"]),
  operations: new Set(["createDevice", "updateDevice", "deleteDevice", "updateChat"]),
  fields: new Set(["name", "status", "title"]),
};

/** A directory over a set of standing resources, which says what it was asked. */
export class StandingResources implements ResourceDirectory {
  readonly asked: string[][] = [];
  readonly #standing: ReadonlySet<string>;

  constructor(standing: readonly { tenantId: string; id: string }[]) {
    this.#standing = new Set(standing.map(resourceKey));
  }

  isRegistered(type: string): boolean {
    return vocabulary.resourceTypes.has(type);
  }

  link(type: string, id: string): string | null {
    return type === "device" ? `/devices/${id}` : null;
  }

  existing(type: string, keys: readonly { tenantId: string; id: string }[]): Promise<ReadonlySet<string>> {
    if (type === "group") return Promise.reject(new Error("the table can't be read"));
    const names = keys.map(resourceKey);
    this.asked.push([type, ...names.sort()]);
    return Promise.resolve(new Set(names.filter((name) => this.#standing.has(name))));
  }
}

export interface OpenLog {
  readonly log: AuditLog;
  readonly pool: pg.Pool;
  /** Every statement that readers sent, with what it was given. */
  readonly statements: { readonly text: string; readonly values: readonly unknown[] }[];
  /** What `onError` was told. */
  readonly errors: string[];
}

/** The log as the reader's login sees it; the caller ends the pool. */
export function openLog(
  url: string,
  directory: ResourceDirectory = new StandingResources([]),
  countTimeout = 5_000,
): OpenLog {
  const statements: OpenLog["statements"] = [];
  const errors: string[] = [];
  const pool = openPool({ connectionString: url, max: 4, connectionTimeoutMillis: 5_000, query_timeout: 15_000 });
  pool.on("connect", (client) => {
    const send = client.query.bind(client) as (...sent: unknown[]) => unknown;
    Object.assign(client, {
      query: (...sent: unknown[]) => {
        const [what] = sent as [string | { text: string; values?: unknown[] }];
        statements.push(
          typeof what === "string" ? { text: what, values: [] } : { text: what.text, values: what.values ?? [] },
        );
        return send(...sent);
      },
    });
  });
  const onError = (message: string): void => void errors.push(message);
  return { log: new AuditLog({ pool, directory, vocabulary, onError, countTimeout }), pool, statements, errors };
}

export function caller(roles: readonly string[], tenantId: string | null = null): Caller {
  const actor = { ...anonymous, type: "USER", id: "u-9", name: "Reader" } as const;
  return { actor, tenantId, subject: "u-9", roles: new Set(roles) };
}

export const auditor = (tenantId = "acme"): Caller => caller(["AUDITOR"], tenantId);
export const platformAuditor = caller(["PLATFORM_AUDITOR"]);
