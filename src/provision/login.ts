import { createHash } from "node:crypto";
import pg from "pg";
import { codeOf } from "../disk/code-of.js";
import { provisionError, type ProvisionError } from "./error.js";
import { connectTo, type Place } from "./inspect.js";
import { passwordFile, readOrMakePassword, scramVerifier } from "./password.js";
import type { Purpose } from "./purpose.js";

const { escapeIdentifier, escapeLiteral } = pg;

const longestName = 63;

/** Where a login is made, and by whom. */
export interface LoginMaker {
  /** The connection of the migrating login, or of one that isn't. */
  readonly admin: pg.Client;
  readonly place: Place;
  /** The URL to serve from, whatever login it has. */
  readonly url: string;
  readonly dataDir: string;
  /** Whether the server is ours alone, so that a login may be given another password. */
  readonly ownsServer: boolean;
}

/**
 * Makes the restricted login of that purpose, or finds the one made before, and answers its URL.
 *
 * Its password is kept before the server learns of it, so that a crash leaves nothing unusable. One whose password
 * isn't ours is left alone.
 * @throws ProvisionError with the statements to run, where the maker may not or the login is another's
 */
export async function makeLogin(maker: LoginMaker, purpose: Purpose, excess: readonly string[] = []): Promise<string> {
  const { admin, place, dataDir } = maker;
  const name = loginName(place.database, purpose.suffix);
  const file = passwordFile(dataDir, name, place.server);
  const password = await readOrMakePassword(file);
  const url = withLogin(maker.url, name, password);
  const verifier = escapeLiteral(await scramVerifier(password));
  const there = await roleExists(admin, name);
  const create = `${there ? "ALTER" : "CREATE"} ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${verifier};`;
  const needsPassword = !there || maker.ownsServer;
  if (!needsPassword && !(await admits(url, purpose))) throw notOurs(name, file, create, purpose);
  const sql = [...(needsPassword ? [create] : []), ...(await missingGrants(maker, name, purpose, there))];
  await runAll(admin, sql, (cause) => mayNotMake(name, place, sql, purpose, excess, cause));
  return url;
}

/**
 * Gives a login that stands in the settings the rights of its purpose.
 * @throws ProvisionError with the statement to run where the maker may not
 */
export async function grantGroup(admin: pg.Client, { login, majorVersion }: Place, purpose: Purpose): Promise<void> {
  const sql = groupGrants(login, majorVersion, purpose);
  await runAll(admin, sql, (cause) => lacksGroup(login, majorVersion, purpose, cause));
}

/** A login without the rights of its purpose, and nobody here who may grant them. */
export function lacksGroup(login: string, majorVersion: number, purpose: Purpose, cause?: unknown): ProvisionError {
  const problem = `The login of ${purpose.setting}, ${login}, isn't a member of ${purpose.group} that inherits its rights.`;
  const sql = groupGrants(login, majorVersion, purpose);
  return provisionError({ problem, remedy: "As an administrator of its server, run:", sql }, cause);
}

/** The URL with another login. */
function withLogin(url: string, login: string, password: string): string {
  const result = new URL(url);
  result.searchParams.delete("user");
  result.searchParams.delete("password");
  if (result.host === "") {
    // A socket's URL has no place for a login before its parameters.
    result.searchParams.set("user", login);
    result.searchParams.set("password", password);
    return result.href;
  }
  result.username = encodeURIComponent(login);
  result.password = encodeURIComponent(password);
  return result.href;
}

/** Named after the database, since roles are the whole server's; a long name ends in a digest of what was cut. */
export function loginName(database: string, suffix: string): string {
  const name = `${database}_${suffix}`;
  if (Buffer.byteLength(name) <= longestName) return name;
  const end = `_${createHash("sha256").update(database).digest("hex").slice(0, 8)}_${suffix}`;
  let kept = Array.from(database);
  while (Buffer.byteLength(kept.join("") + end) > longestName) kept = kept.slice(0, -1);
  return kept.join("") + end;
}

async function roleExists(client: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query("select from pg_roles where rolname = $1", [name]);
  return rowCount !== 0;
}

async function admits(url: string, { setting }: Purpose): Promise<boolean> {
  try {
    return await connectTo(`the login made in place of ${setting}`, url, () => Promise.resolve(true));
  } catch (error) {
    if (error instanceof Error && codeOf(error.cause) === "28P01") return false;
    throw error;
  }
}

/** What the login lacks, as statements: granting again what it has would ask for a right that the maker may not have. */
async function missingGrants(maker: LoginMaker, name: string, purpose: Purpose, there: boolean): Promise<string[]> {
  const { admin, place } = maker;
  const { rows } = await admin.query<{ hasGroup: boolean; mayConnect: boolean }>(
    `select case when $1::name <> 'public' then pg_has_role($1::name, $2::name, 'USAGE') else false end as "hasGroup",
       has_database_privilege($1::name, current_database(), 'CONNECT') as "mayConnect"`,
    // What everyone may, one that isn't there yet will.
    [there ? name : "public", purpose.group],
  );
  const connect = `GRANT CONNECT ON DATABASE ${escapeIdentifier(place.database)} TO ${escapeIdentifier(name)};`;
  return [
    ...(rows[0]?.hasGroup ? [] : [grantOf(name, place.majorVersion, purpose)]),
    ...(rows[0]?.mayConnect ? [] : [connect]),
  ];
}

function groupGrants(login: string, majorVersion: number, purpose: Purpose): string[] {
  // Up to 15 a login inherits all or nothing; from 16 on each grant says.
  const inherit = majorVersion < 16 ? [`ALTER ROLE ${escapeIdentifier(login)} INHERIT;`] : [];
  return [grantOf(login, majorVersion, purpose), ...inherit];
}

function grantOf(login: string, majorVersion: number, { group }: Purpose): string {
  return `GRANT ${group} TO ${escapeIdentifier(login)}${majorVersion < 16 ? "" : " WITH INHERIT TRUE"};`;
}

/** All or nothing; a want of rights becomes the error that says what to run. */
async function runAll(
  client: pg.Client,
  statements: readonly string[],
  refused: (cause: unknown) => ProvisionError,
): Promise<void> {
  if (statements.length === 0) return;
  try {
    await client.query(statements.join("\n"));
  } catch (cause) {
    // 25006: the setting's server is a replica. 0LP01: the group isn't the maker's to grant.
    throw ["42501", "25006", "0LP01"].includes(codeOf(cause) ?? "") ? refused(cause) : cause;
  }
}

function mayNotMake(
  name: string,
  { login }: Place,
  sql: readonly string[],
  { setting, deed }: Purpose,
  excess: readonly string[],
  cause: unknown,
): ProvisionError {
  const why = excess.length === 0 ? "" : `${login} ${excess.join(", ")}, so it can't ${deed}. `;
  return provisionError(
    {
      problem: `${why}There is no restricted login to ${deed}, and ${login} may not make ${name}.`,
      remedy: `As an administrator of the server, run this and start again, or set ${setting} to a login of your own:`,
      sql,
    },
    cause,
  );
}

function notOurs(name: string, file: string, sql: string, { setting }: Purpose): ProvisionError {
  return provisionError({
    problem: `The login ${name} is there already, and its password isn't the one in ${file}.`,
    remedy:
      `Set ${setting} to it with its password (and MIGRATION_DATABASE_URL to the login that may migrate), or put back ` +
      `the file; or, if nobody else uses it, run as an administrator:`,
    sql: [sql],
  });
}
