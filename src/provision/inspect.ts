import pg from "pg";
import { connectionConfig, type Deadlines, withClient } from "../database/connection.js";
import { codeOf } from "../disk/code-of.js";
import { provisionError, ProvisionError } from "./error.js";
import type { Purpose } from "./purpose.js";

const { escapeIdentifier } = pg;

const applicationName = "auditql provision";
const deadlines: Deadlines = { connect: 5_000, statement: 60_000, lock: 60_000, idleInTransaction: 60_000 };

/** Where a login gets to, and who it is there. */
export interface Place {
  readonly login: string;
  readonly database: string;
  /** The cluster's own identifier, which a physical replica has too. */
  readonly server: string;
  readonly isReplica: boolean;
  readonly serverVersion: string;
  readonly majorVersion: number;
  /** Whether the login may make the schemas and roles that migrations make. */
  readonly mayMigrate: boolean;
}

/** What a login could do beside its purpose, and whether it can do that. */
export interface Rights {
  /** Why it is too mighty, each as in "it …"; empty where it isn't. */
  readonly excess: readonly string[];
  /** What takes that from it, but for a superuser's might and what it owns: whose those should be isn't known here. */
  readonly mending: readonly string[];
  readonly hasGroup: boolean;
}

/** The roles that the migrations make. */
export const logRoles = ["audit_owner", "audit_guard", "audit_writer", "audit_reader", "app_api"];

/**
 * Does work on a connection of a setting's URL.
 * @throws ProvisionError that names the setting where there is no connection to be had
 */
export async function connectTo<Result>(
  setting: string,
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const state = { connected: false };
  try {
    return await withClient(connectionConfig(url, applicationName, deadlines), (client) => {
      state.connected = true;
      return work(client);
    });
  } catch (error) {
    throw state.connected ? error : unreachable(setting, url, error);
  }
}

/** Where the connection leads, and as whom. */
export async function readPlace(client: pg.Client): Promise<Place> {
  const { rows } = await client.query<Place>(
    `select session_user::text as login, current_database()::text as database,
       (select system_identifier::text from pg_control_system()) as server,
       pg_is_in_recovery() as "isReplica",
       current_setting('server_version') as "serverVersion",
       current_setting('server_version_num')::int / 10000 as "majorVersion",
       (
         select rolsuper or (
           has_database_privilege(session_user, current_database(), 'CREATE')
           and (rolcreaterole or (select count(*) from pg_roles where rolname = any ($1)) = cardinality($1))
         ) from pg_roles where rolname = session_user
       ) as "mayMigrate"`,
    [logRoles],
  );
  const [place] = rows;
  if (!place) throw new Error("The server said nothing of its place.");
  return place;
}

/** What the connection's login may do. A superuser may anything, so nothing else is listed. */
export async function readRights(client: pg.Client, purpose: Purpose): Promise<Rights> {
  const { rows } = await client.query<Rights>(
    `select
       case when me.rolsuper then array['is a superuser'] else array_remove(
         array[
           case when me.rolbypassrls then 'bypasses row-level security' end,
           case when me.rolcreaterole then 'may create roles' end,
           case when me.rolreplication then 'may replicate' end
         ] || array(
           select 'is a member of ' || rolname from pg_roles
           where oid <> me.oid and pg_has_role(me.oid, oid, 'MEMBER')
             and (rolname = any ($1) or rolsuper or rolbypassrls or rolcreaterole or rolreplication)
           order by rolname
         ) || (select 'owns the database' from pg_database
           where datname = current_database() and pg_has_role(me.oid, datdba, 'MEMBER')
         ) || array(
           select 'owns schema ' || nspname from pg_namespace
           where nspname = any ($2) and pg_has_role(me.oid, nspowner, 'MEMBER')
             and nspowner::regrole::text <> all ($1)
         ) || (select 'owns ' || min(pg_class.oid::regclass::text) from pg_class
           where relnamespace = any (select oid from pg_namespace where nspname = any ($2))
             and relkind in ('r', 'p', 'v', 'm', 'S') and pg_has_role(me.oid, relowner, 'MEMBER')
             and relowner::regrole::text <> all ($1)
         ), null) end as excess,
       case when me.rolsuper then '{}' else array_remove(array[
         'ALTER ROLE ' || quote_ident(me.rolname) || nullif(concat(
           case when me.rolbypassrls then ' NOBYPASSRLS' end,
           case when me.rolcreaterole then ' NOCREATEROLE' end,
           case when me.rolreplication then ' NOREPLICATION' end), '') || ';'
       ], null) || array(
         select format('REVOKE %I FROM %I;', held.rolname, me.rolname)
         from pg_auth_members join pg_roles held on held.oid = roleid
         where member = me.oid and exists (
           select from pg_roles
           where pg_has_role(held.oid, oid, 'MEMBER')
             and (rolname = any ($1) or rolsuper or rolbypassrls or rolcreaterole or rolreplication)
         )
         order by held.rolname
       ) end as mending,
       coalesce(pg_has_role(me.oid, to_regrole($3)::oid, 'USAGE'), false) as "hasGroup"
     from pg_roles me where rolname = session_user`,
    [purpose.forbidden, ["app", "audit", "audit_guard", "auditql"], purpose.group],
  );
  const [rights] = rows;
  if (!rights) throw new Error("The server said nothing of the login's rights.");
  return rights;
}

function unreachable(setting: string, url: string, cause: unknown): ProvisionError {
  const code = codeOf(cause);
  if (code === "28P01" || code === "28000") {
    const problem = `The server refuses the login of ${setting} (${code}).`;
    return provisionError(
      { problem, remedy: "Set its user and password, and let pg_hba.conf admit it.", sql: [] },
      cause,
    );
  }
  if (code === "3D000") {
    const name = decodeURIComponent(new URL(url).pathname.slice(1));
    const problem = `The database that ${setting} names doesn't exist.`;
    const sql = [`CREATE DATABASE ${escapeIdentifier(name)};`];
    return provisionError({ problem, remedy: "Name another, or run:", sql }, cause);
  }
  if (code === "42501") {
    const { pathname, username } = new URL(url);
    const [database, login] = [pathname.slice(1), username].map((part) => escapeIdentifier(decodeURIComponent(part)));
    const problem = `The login of ${setting} may not connect to its database.`;
    const sql = [`GRANT CONNECT ON DATABASE ${database} TO ${login};`];
    return provisionError({ problem, remedy: "As the database's owner or an administrator, run:", sql }, cause);
  }
  const message = cause instanceof Error ? cause.message || code : undefined;
  const problem = `PostgreSQL can't be reached with ${setting} (${message ?? "for an unknown reason"}).`;
  return new ProvisionError([{ problem, remedy: "Start it, or set the URL of one that runs.", sql: [] }], 69, {
    cause,
  });
}
