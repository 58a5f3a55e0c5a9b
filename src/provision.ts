import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Config } from "./config.js";
import { migrate, MigrationError, oldestMajorVersion, pending } from "./migrate.js";
import { allOrProblems, provisionError, type ProvisionError } from "./provision/error.js";
import { connectTo, logRoles, type Place, readPlace, readRights, type Rights } from "./provision/inspect.js";
import { grantGroup, lacksGroup, type LoginMaker, loginName, makeLogin } from "./provision/login.js";
import { type Purpose, reading, serving } from "./provision/purpose.js";

export { ProvisionError, type ProvisionProblem } from "./provision/error.js";

const { escapeIdentifier } = pg;

/** A grant made on the primary has to reach the replica. */
const replicaDeadline = 10_000;
const replicaInterval = 200;

/** A migrated database and two restricted logins that were tried. The URLs hold passwords: never log them. */
export interface Provisioned {
  readonly apiUrl: string;
  readonly readerUrl: string;
  /** The migrating login, where there is one that may. */
  readonly adminUrl: string | null;
  /** What was done, a sentence each, for the log. */
  readonly notes: readonly string[];
}

/** A setting's URL and where it leads. */
interface Access {
  readonly setting: string;
  readonly url: string;
  readonly place: Place;
}

/**
 * Migrates the database and finds, or makes, a login to serve with and one to read with, each with the rights of its
 * purpose and no more. Doing it again changes nothing; any number of processes may do it at once.
 * @throws ProvisionError, with all that has to be run or set, and MigrationError
 */
export async function provision(config: Config, embeddedUrl: string | null): Promise<Provisioned> {
  const api = await accessOf(embeddedUrl ? "the embedded server" : "DATABASE_URL", embeddedUrl ?? config.databaseUrl);
  const migrating = config.migrationDatabaseUrl;
  const admin = migrating ? await accessOf("MIGRATION_DATABASE_URL", migrating) : api;
  requireSameDatabase(admin, api);
  const notes: string[] = [];
  await bringUpToDate(admin, notes);
  const [apiUrl, readerUrl] = await connectTo(admin.setting, admin.url, async (client) => {
    // Two processes that start at once would both make the logins.
    await client.query("select pg_advisory_lock(hashtextextended('auditql.provision', 0))");
    const ownsServer = embeddedUrl !== null;
    const maker = { admin: client, place: api.place, url: api.url, dataDir: config.dataDir, ownsServer };
    return allOrProblems(
      () => provideApi(maker, api, notes),
      () => provideReader(maker, config.readDatabaseUrl, notes),
    );
  });
  return { apiUrl, readerUrl, adminUrl: admin.place.mayMigrate ? admin.url : null, notes };
}

async function accessOf(setting: string, url: string | null): Promise<Access> {
  if (url === null) {
    throw provisionError({ problem: `${setting} is missing.`, remedy: "Set it to a PostgreSQL URL.", sql: [] });
  }
  const place = await connectTo(setting, url, readPlace);
  if (place.majorVersion < oldestMajorVersion) {
    const problem = `${setting} leads to PostgreSQL ${place.serverVersion}, and ${oldestMajorVersion} or later is needed.`;
    throw provisionError({ problem, remedy: "Upgrade that server, or set another.", sql: [] });
  }
  return { setting, url, place };
}

function requireSameDatabase(admin: Access, api: Access): void {
  const [replica] = [admin, api].filter(({ place }) => place.isReplica);
  if (replica) {
    const problem = `${replica.setting} leads to a replica, which can't be written.`;
    throw provisionError({ problem, remedy: "Set it to the primary; READ_DATABASE_URL may be a replica.", sql: [] });
  }
  if (admin.place.server === api.place.server && admin.place.database === api.place.database) return;
  const problem = `${admin.setting} and ${api.setting} lead to different databases.`;
  throw provisionError({ problem, remedy: "Set both to the same database.", sql: [] });
}

/** Runs what is pending, if the login may; one that may not serves a database that lacks nothing. */
async function bringUpToDate(admin: Access, notes: string[]): Promise<void> {
  const count = await pending(admin.url);
  if (count === 0) return;
  if (!admin.place.mayMigrate) throw await mayNotMigrate(admin, count);
  try {
    const { applied } = await migrate(admin.url);
    notes.push(`ran ${applied} ${applied === 1 ? "migration" : "migrations"} as ${admin.place.login}`);
  } catch (error) {
    if (error instanceof MigrationError && error.reason === "refused") throw await mayNotMigrate(admin, count, error);
    throw error;
  }
}

async function mayNotMigrate(admin: Access, count: number, cause?: unknown): Promise<ProvisionError> {
  const { login, database } = admin.place;
  const migrator = escapeIdentifier(loginName(database, "migrator"));
  const there = await connectTo(admin.setting, admin.url, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      "select rolname as name from pg_roles where rolname = any ($1) order by 1",
      [logRoles],
    );
    return rows.map(({ name }) => name);
  });
  const why = cause instanceof MigrationError ? ` (${cause.message})` : "";
  return provisionError(
    {
      problem: `${pendingText(count)}, and the login of ${admin.setting}, ${login}, may not run ${count === 1 ? "it" : "them"}${why}.`,
      remedy: "Set MIGRATION_DATABASE_URL to a login that may. To make one, run as an administrator of the server:",
      sql: [
        `CREATE ROLE ${migrator} LOGIN CREATEROLE PASSWORD 'choose-a-password';`,
        `GRANT CREATE ON DATABASE ${escapeIdentifier(database)} TO ${migrator};`,
        // Another database of the server has them made, and they are its migrating login's to grant.
        ...(there.length > 0 ? [`GRANT ${there.join(", ")} TO ${migrator} WITH ADMIN OPTION;`] : []),
      ],
    },
    cause,
  );
}

const pendingText = (count: number): string =>
  count === 1 ? "1 migration is pending" : `${count} migrations are pending`;

async function provideApi(maker: LoginMaker, api: Access, notes: string[]): Promise<string> {
  const rights = await rightsOf(api, serving);
  if (rights.excess.length === 0) {
    if (!rights.hasGroup) await grantGroup(maker.admin, api.place, serving);
    await requireRestricted(api.setting, api.url, serving);
    return api.url;
  }
  const url = await makeLogin(maker, serving, rights.excess);
  const { place } = await requireRestricted("the login made to serve with", url, serving);
  // Of a server of our own nothing else is expected.
  const why = maker.ownsServer
    ? ""
    : `${api.place.login} is too mighty to serve with (it ${rights.excess.join(", ")}): `;
  notes.push(`${why}serving as ${place.login}, its password in DATA_DIR`);
  return url;
}

async function provideReader(maker: LoginMaker, given: string | null, notes: string[]): Promise<string> {
  if (given !== null) return await checkReader(maker, await accessOf(reading.setting, given), given);
  const url = await makeLogin(maker, reading);
  const { place } = await requireRestricted("the login made to read the log with", url, reading);
  const why = maker.ownsServer ? "" : "READ_DATABASE_URL is missing: ";
  notes.push(`${why}reading the log as ${place.login}, its password in DATA_DIR`);
  return url;
}

async function checkReader(maker: LoginMaker, access: Access, url: string): Promise<string> {
  const sameServer = access.place.server === maker.place.server;
  if (sameServer && access.place.database !== maker.place.database) {
    const problem = "READ_DATABASE_URL and DATABASE_URL lead to different databases of one server.";
    throw provisionError({ problem, remedy: "Set both to the same database.", sql: [] });
  }
  const rights = await rightsOf(access, reading);
  if (rights.excess.length === 0 && !rights.hasGroup) {
    if (!sameServer) throw lacksGroup(access.place.login, access.place.majorVersion, reading);
    await grantGroup(maker.admin, access.place, reading);
    if (access.place.isReplica) await grantArrives(access);
  }
  await requireRestricted(access.setting, url, reading);
  return url;
}

async function grantArrives(access: Access): Promise<void> {
  const end = performance.now() + replicaDeadline;
  while (!(await rightsOf(access, reading)).hasGroup && performance.now() < end) await delay(replicaInterval);
}

function rightsOf({ setting, url }: Access, purpose: Purpose): Promise<Rights> {
  return connectTo(setting, url, (client) => readRights(client, purpose));
}

/** Connects as whoever will, and looks what they may do. */
async function requireRestricted(setting: string, url: string, purpose: Purpose): Promise<Access> {
  const [place, { excess, mending, hasGroup }] = await connectTo(
    setting,
    url,
    async (client) => [await readPlace(client), await readRights(client, purpose)] as const,
  );
  if (excess.length > 0) {
    const problem = `The login ${place.login} is too mighty to ${purpose.deed}: it ${excess.join(", ")}.`;
    const remedy = `Set ${purpose.setting} to one that is a member of ${purpose.group} alone, or take that from it`;
    const end = mending.length > 0 ? ", as an administrator of the server:" : ".";
    throw provisionError({ problem, remedy: `${remedy}${end}`, sql: mending });
  }
  if (!hasGroup) throw lacksGroup(place.login, place.majorVersion, purpose);
  return { setting, url, place };
}
