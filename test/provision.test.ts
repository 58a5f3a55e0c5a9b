import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { migrations } from "../migrations/index.js";
import { loadConfig } from "../src/config.js";
import { migrate } from "../src/migrate.js";
import { provision, type Provisioned, ProvisionError } from "../src/provision.js";
import { query, urlOf } from "./support/postgres.js";

const compiled = (path: string): string => new URL(`../dist/src/${path}`, import.meta.url).href;
const { adminUrl: serverUrl, template } = inject("postgres");

let database: string;
let adminUrl: string;
let dataDir: string;

beforeEach(async () => {
  database = `${template}_${randomBytes(5).toString("hex")}`;
  adminUrl = urlOf(serverUrl, database);
  await query(serverUrl, `create database ${database}`);
  dataDir = await mkdtemp(join(tmpdir(), "auditql-provision-"));
});

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
  await query(serverUrl, `drop database if exists ${database} with (force)`);
  const sql = "select string_agg(rolname, ', ') as names from pg_roles where starts_with(rolname, $1)";
  const [row] = await query<{ names: string | null }>(serverUrl, sql, [database]);
  // All at once, since one may have granted to another.
  if (row?.names) await query(serverUrl, `drop role ${row.names}`);
});

interface Urls {
  DATABASE_URL?: string;
  MIGRATION_DATABASE_URL?: string;
  READ_DATABASE_URL?: string;
}

const configOf = (urls: Urls) => loadConfig({ ...urls, DATA_DIR: dataDir });
const start = (urls: Urls): Promise<Provisioned> => provision(configOf(urls), null);

/** A login of the test's own, named after its database, and its URL. */
async function makeLogin(suffix: string, attributes = ""): Promise<{ login: string; url: string }> {
  const login = `${database}_${suffix}`;
  const password = randomBytes(9).toString("base64url");
  await query(serverUrl, `create role ${login} login ${attributes} password '${password}'`);
  return { login, url: urlOf(serverUrl, database, { user: login, password }) };
}

async function refusal(work: Promise<unknown>): Promise<ProvisionError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProvisionError)) throw new Error("It didn't end in a ProvisionError.", { cause: error });
  return error;
}

const statementsOf = (error: ProvisionError): string[] => error.problems.flatMap(({ sql }) => sql);

/** As an administrator who pastes what the message says. */
async function paste(error: ProvisionError): Promise<void> {
  for (const statement of statementsOf(error)) await query(adminUrl, statement);
}

const withoutVerifier = (sql: string): string => sql.replace(/'SCRAM-SHA-256\$4096:[^']+'/, "'…'");

/** Up to 15 whether it inherits is a matter of the login. */
async function grantSql(group: string, login: string, made: boolean): Promise<string[]> {
  const [row] = await query<{ major: number }>(
    serverUrl,
    "select current_setting('server_version_num')::int / 10000 as major",
  );
  if ((row?.major ?? 0) >= 16) return [`GRANT ${group} TO "${login}" WITH INHERIT TRUE;`];
  return [`GRANT ${group} TO "${login}";`, ...(made ? [] : [`ALTER ROLE "${login}" INHERIT;`])];
}

interface RoleRow extends Record<string, unknown> {
  rolsuper: boolean;
  rolcreaterole: boolean;
  rolcreatedb: boolean;
  rolreplication: boolean;
  rolbypassrls: boolean;
  groups: string[];
  verifier: string;
}

async function roleOf(login: string): Promise<RoleRow | undefined> {
  const [row] = await query<RoleRow>(
    serverUrl,
    `select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolpassword as verifier,
       array(
         select roleid::regrole::text from pg_auth_members where member = pg_authid.oid order by 1
       ) as groups
     from pg_authid where rolname = $1`,
    [login],
  );
  return row;
}

async function loginOf(url: string): Promise<unknown> {
  const [row] = await query(url, "select session_user::text as login, current_database()::text as database");
  return row;
}

async function keptFiles(): Promise<{ name: string; mode: string }[]> {
  const names = await readdir(join(dataDir, "logins")).catch(() => []);
  const modes = names.map(async (name) => {
    const { mode } = await stat(join(dataDir, "logins", name));
    return { name, mode: (mode & 0o777).toString(8) };
  });
  return (await Promise.all(modes)).sort((left, right) => left.name.localeCompare(right.name));
}

async function fileOf(login: string): Promise<string> {
  const [row] = await query<{ server: string }>(
    serverUrl,
    "select system_identifier::text as server from pg_control_system()",
  );
  return join(dataDir, "logins", `${login}@${row?.server}`);
}

const restricted = {
  rolsuper: false,
  rolcreaterole: false,
  rolcreatedb: false,
  rolreplication: false,
  rolbypassrls: false,
};

describe("a login too mighty to serve with", () => {
  it("migrates, and makes one to serve and one to read, each with its own rights alone", async () => {
    const result = await start({ DATABASE_URL: adminUrl });
    expect(await loginOf(result.apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(await loginOf(result.readerUrl)).toEqual({ login: `${database}_reader`, database });
    expect(result.adminUrl).toBe(adminUrl);
    expect(await roleOf(`${database}_api`)).toMatchObject({ ...restricted, groups: ["app_api"] });
    expect(await roleOf(`${database}_reader`)).toMatchObject({ ...restricted, groups: ["audit_reader"] });
    expect(result.notes).toEqual([
      `ran ${migrations.length} migrations as postgres`,
      `postgres is too mighty to serve with (it is a superuser): serving as ${database}_api, its password in DATA_DIR`,
      `READ_DATABASE_URL is missing: reading the log as ${database}_reader, its password in DATA_DIR`,
    ]);
  });

  it("keeps the passwords for the files' owner alone, and gives the server what can't be turned back", async () => {
    const { apiUrl, readerUrl } = await start({ DATABASE_URL: adminUrl });
    const files = [await fileOf(`${database}_api`), await fileOf(`${database}_reader`)];
    expect(await keptFiles()).toEqual(files.map((file) => ({ name: file.split("/").at(-1), mode: "600" })));
    expect(((await stat(join(dataDir, "logins"))).mode & 0o777).toString(8)).toBe("700");
    const kept = await Promise.all(files.map((file) => readFile(file, "utf8")));
    expect(kept).toEqual([`${new URL(apiUrl).password}\n`, `${new URL(readerUrl).password}\n`]);
    expect(kept[0]).toMatch(/^[A-Za-z0-9_-]{32}\n$/);
    expect((await roleOf(`${database}_api`))?.verifier).toMatch(/^SCRAM-SHA-256\$4096:[^$]+\$[^:]+:.+$/);
  });

  it("changes nothing when it starts again", async () => {
    const first = await start({ DATABASE_URL: adminUrl });
    const [api, reader] = [await roleOf(`${database}_api`), await roleOf(`${database}_reader`)];
    const second = await start({ DATABASE_URL: adminUrl });
    expect([second.apiUrl, second.readerUrl]).toEqual([first.apiUrl, first.readerUrl]);
    expect(await roleOf(`${database}_api`)).toEqual(api);
    expect(await roleOf(`${database}_reader`)).toEqual(reader);
    expect(await keptFiles()).toHaveLength(2);
  });

  it("gives a login the password that a crash left without one", async () => {
    const { apiUrl } = await start({ DATABASE_URL: adminUrl });
    await query(serverUrl, `drop role ${database}_api`);
    expect((await start({ DATABASE_URL: adminUrl })).apiUrl).toBe(apiUrl);
    expect(await loginOf(apiUrl)).toEqual({ login: `${database}_api`, database });
  });

  it("makes logins that may connect where not everyone may", async () => {
    await query(serverUrl, `revoke connect on database ${database} from public`);
    const { apiUrl, readerUrl } = await start({ DATABASE_URL: adminUrl });
    expect(await loginOf(apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(await loginOf(readerUrl)).toEqual({ login: `${database}_reader`, database });
  });

  it("serves one database from five processes that start at once", async () => {
    const program = `
      const { loadConfig } = await import(process.argv[1]);
      const { provision } = await import(process.argv[2]);
      const { apiUrl, readerUrl } = await provision(loadConfig(process.env), null);
      console.log(JSON.stringify([apiUrl, readerUrl]));`;
    const args = ["--input-type=module", "-e", program, compiled("config.js"), compiled("provision.js")];
    const env = { PATH: process.env["PATH"], DATABASE_URL: adminUrl, DATA_DIR: dataDir };
    const runs = Array.from({ length: 5 }, () => promisify(execFile)(process.execPath, args, { env }));
    const outputs = (await Promise.all(runs)).map(({ stdout }) => stdout);
    const { apiUrl, readerUrl } = await start({ DATABASE_URL: adminUrl });
    expect(outputs).toEqual(Array.from({ length: 5 }, () => `${JSON.stringify([apiUrl, readerUrl])}\n`));
  });

  it("shortens the name of a login to what PostgreSQL keeps", async () => {
    const long = `${database}_`.padEnd(63, "x");
    await query(serverUrl, `alter database ${database} rename to ${long}`);
    try {
      const { apiUrl } = await start({ DATABASE_URL: urlOf(serverUrl, long) });
      const { user, ...rest } = Object.assign({ user: new URL(apiUrl).username }, await loginOf(apiUrl));
      expect(user).toMatch(new RegExp(`^${database}_x+_[0-9a-f]{8}_api$`));
      expect([user.length, rest]).toEqual([63, { login: user, database: long }]);
    } finally {
      await query(serverUrl, `alter database ${long} rename to ${database}`);
    }
  });

  it("leaves alone a login that it didn't make, and says what to set or to run", async () => {
    await makeLogin("api");
    const before = await roleOf(`${database}_api`);
    const error = await refusal(start({ DATABASE_URL: adminUrl }));
    expect(error.exitCode).toBe(78);
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      `The login ${database}_api is there already, and its password isn't the one in ${await fileOf(`${database}_api`)}.`,
    ]);
    expect(statementsOf(error).map(withoutVerifier)).toEqual([`ALTER ROLE "${database}_api" LOGIN PASSWORD '…';`]);
    expect(await roleOf(`${database}_api`)).toEqual(before);

    await paste(error);
    const { apiUrl } = await start({ DATABASE_URL: adminUrl });
    expect(await loginOf(apiUrl)).toEqual({ login: `${database}_api`, database });
  });

  it("refuses a login of the right name and password that has become too mighty itself", async () => {
    await start({ DATABASE_URL: adminUrl });
    await query(serverUrl, `alter role ${database}_reader bypassrls; grant audit_owner to ${database}_reader`);
    const error = await refusal(start({ DATABASE_URL: adminUrl }));
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      `The login ${database}_reader is too mighty to read the log with: it bypasses row-level security, is a member of audit_owner.`,
    ]);
    expect(statementsOf(error)).toEqual([
      `ALTER ROLE ${database}_reader NOBYPASSRLS;`,
      `REVOKE audit_owner FROM ${database}_reader;`,
    ]);
    await paste(error);
    const { readerUrl } = await start({ DATABASE_URL: adminUrl });
    expect(await loginOf(readerUrl)).toEqual({ login: `${database}_reader`, database });
  });
});

describe("the embedded server", () => {
  it("makes its logins, and gives them new passwords where those were lost: nobody else uses it", async () => {
    const first = await provision(configOf({}), adminUrl);
    expect(await loginOf(first.apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(first.notes.slice(1)).toEqual([
      `serving as ${database}_api, its password in DATA_DIR`,
      `reading the log as ${database}_reader, its password in DATA_DIR`,
    ]);
    await rm(join(dataDir, "logins"), { recursive: true });
    const second = await provision(configOf({}), adminUrl);
    expect(second.apiUrl).not.toBe(first.apiUrl);
    expect(await loginOf(second.apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(await loginOf(second.readerUrl)).toEqual({ login: `${database}_reader`, database });
    await expect(loginOf(first.apiUrl)).rejects.toMatchObject({ code: "28P01" });
  });
});

describe("a restricted login", () => {
  it("is served with as it is, and given its rights, where another migrates", async () => {
    const api = await makeLogin("own", "noinherit");
    const result = await start({ DATABASE_URL: api.url, MIGRATION_DATABASE_URL: adminUrl });
    expect([result.apiUrl, result.adminUrl]).toEqual([api.url, adminUrl]);
    expect(await roleOf(api.login)).toMatchObject({ ...restricted, groups: ["app_api"] });
    expect(await query(api.url, "select count(*)::int from app.device")).toEqual([{ count: 0 }]);
    expect(await keptFiles()).toHaveLength(1);
  });

  it("needs no other where nothing is pending and all is granted", async () => {
    await migrate(adminUrl);
    const [api, reader] = [await makeLogin("own", "in role app_api"), await makeLogin("eye", "in role audit_reader")];
    expect(await start({ DATABASE_URL: api.url, READ_DATABASE_URL: reader.url })).toEqual({
      apiUrl: api.url,
      readerUrl: reader.url,
      adminUrl: null,
      notes: [],
    });
    expect(await keptFiles()).toEqual([]);
  });

  it("is told how to make a migrating login where migrations are pending", async () => {
    const api = await makeLogin("own");
    const error = await refusal(start({ DATABASE_URL: api.url }));
    expect([error.exitCode, error.problems[0]?.problem]).toEqual([
      78,
      `${migrations.length} migrations are pending, and the login of DATABASE_URL, ${api.login}, may not run them.`,
    ]);
    expect(error.message).toContain("Set MIGRATION_DATABASE_URL to a login that may.");
    expect(statementsOf(error)).toEqual([
      `CREATE ROLE "${database}_migrator" LOGIN CREATEROLE PASSWORD 'choose-a-password';`,
      `GRANT CREATE ON DATABASE "${database}" TO "${database}_migrator";`,
      `GRANT app_api, audit_guard, audit_owner, audit_reader, audit_writer TO "${database}_migrator" WITH ADMIN OPTION;`,
    ]);

    await paste(error);
    const login = { user: `${database}_migrator`, password: "choose-a-password" };
    const migrator = urlOf(serverUrl, database, login);
    const result = await start({ DATABASE_URL: api.url, MIGRATION_DATABASE_URL: migrator });
    expect([result.apiUrl, result.adminUrl]).toEqual([api.url, migrator]);
    expect(await loginOf(result.readerUrl)).toEqual({ login: `${database}_reader`, database });
  });

  it("is told of a single one that is pending", async () => {
    await migrate(adminUrl);
    await query(adminUrl, "delete from auditql.migration where id = (select max(id) from auditql.migration)");
    const api = await makeLogin("own");
    const error = await refusal(start({ DATABASE_URL: api.url }));
    expect(error.problems[0]?.problem).toBe(
      `1 migration is pending, and the login of DATABASE_URL, ${api.login}, may not run it.`,
    );
  });

  it("is told all at once what an administrator has to run where nobody may grant", async () => {
    await migrate(adminUrl);
    const api = await makeLogin("own");
    const error = await refusal(start({ DATABASE_URL: api.url }));
    expect(error.exitCode).toBe(78);
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      `The login of DATABASE_URL, ${api.login}, isn't a member of app_api that inherits its rights.`,
      `There is no restricted login to read the log with, and ${api.login} may not make ${database}_reader.`,
    ]);
    expect(statementsOf(error).map(withoutVerifier)).toEqual([
      ...(await grantSql("app_api", api.login, false)),
      `CREATE ROLE "${database}_reader" LOGIN PASSWORD '…';`,
      ...(await grantSql("audit_reader", `${database}_reader`, true)),
    ]);

    await paste(error);
    const result = await start({ DATABASE_URL: api.url });
    expect([result.apiUrl, result.adminUrl]).toEqual([api.url, null]);
    expect(await loginOf(result.readerUrl)).toEqual({ login: `${database}_reader`, database });
  });

  it.each([
    ["createrole", "may create roles"],
    ["replication", "may replicate"],
    ["bypassrls", "bypasses row-level security"],
    ["in role pg_write_all_data", "is a member of pg_write_all_data"],
    ["in role audit_guard", "is a member of audit_guard, is a member of audit_owner"],
    ["in role audit_reader", "is a member of audit_reader"],
  ])("isn't one with %s: another is served with", async (attributes, why) => {
    const api = await makeLogin("own", attributes);
    const { apiUrl, notes } = await start({ DATABASE_URL: api.url, MIGRATION_DATABASE_URL: adminUrl });
    expect(await loginOf(apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(notes[1]).toContain(`${api.login} is too mighty to serve with (it ${why}`);
  });

  it("isn't one that owns the database or a table of it: another is served with", async () => {
    const [owner, tableOwner] = [await makeLogin("own"), await makeLogin("table")];
    await query(serverUrl, `alter database ${database} owner to ${owner.login}`);
    await migrate(adminUrl);
    await query(adminUrl, `alter table app.device owner to ${tableOwner.login}`);
    const first = await start({ DATABASE_URL: owner.url, MIGRATION_DATABASE_URL: adminUrl });
    expect(first.notes[0]).toContain(`${owner.login} is too mighty to serve with (it owns the database)`);
    const second = await start({ DATABASE_URL: tableOwner.url, MIGRATION_DATABASE_URL: adminUrl });
    expect(second.notes[0]).toContain(`${tableOwner.login} is too mighty to serve with (it owns app.device)`);
    expect(second.apiUrl).toBe(first.apiUrl);
  });
});

describe("a migrating login that is no superuser", () => {
  it("migrates, makes both logins and grants them their rights", async () => {
    const owner = await makeLogin("owner", "createrole");
    await query(serverUrl, `alter database ${database} owner to ${owner.login}`);
    await query(
      serverUrl,
      `grant app_api, audit_guard, audit_owner, audit_reader, audit_writer to ${owner.login} with admin option`,
    );
    const result = await start({ DATABASE_URL: owner.url });
    expect(await loginOf(result.apiUrl)).toEqual({ login: `${database}_api`, database });
    expect(await loginOf(result.readerUrl)).toEqual({ login: `${database}_reader`, database });
    expect(result.adminUrl).toBe(owner.url);
    expect(await roleOf(`${database}_api`)).toMatchObject({ ...restricted, groups: ["app_api"] });
    expect((await start({ DATABASE_URL: owner.url })).apiUrl).toBe(result.apiUrl);
  });

  it("without the roles of another's making is told what to run", async () => {
    const owner = await makeLogin("owner");
    await query(serverUrl, `alter database ${database} owner to ${owner.login}`);
    const error = await refusal(start({ DATABASE_URL: owner.url }));
    expect(error.exitCode).toBe(78);
    expect(error.problems[0]?.problem).toContain(`the login of DATABASE_URL, ${owner.login}, may not run them`);
  });
});

describe("READ_DATABASE_URL", () => {
  it("is given its rights on the same server", async () => {
    const reader = await makeLogin("eye");
    const result = await start({ DATABASE_URL: adminUrl, READ_DATABASE_URL: reader.url });
    expect(result.readerUrl).toBe(reader.url);
    expect(await roleOf(reader.login)).toMatchObject({ groups: ["audit_reader"] });
    expect((await keptFiles()).map(({ name }) => name.split("@")[0])).toEqual([`${database}_api`]);
  });

  it("is refused where its login is too mighty", async () => {
    const error = await refusal(start({ DATABASE_URL: adminUrl, READ_DATABASE_URL: adminUrl }));
    expect([error.exitCode, error.problems.map(({ problem }) => problem)]).toEqual([
      78,
      ["The login postgres is too mighty to read the log with: it is a superuser."],
    ]);
    expect(statementsOf(error)).toEqual([]);
  });

  it("is refused where it is the login that serves", async () => {
    const both = await makeLogin("own");
    const urls = { DATABASE_URL: both.url, READ_DATABASE_URL: both.url, MIGRATION_DATABASE_URL: adminUrl };
    const error = await refusal(start(urls));
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      `The login ${both.login} is too mighty to read the log with: it is a member of audit_writer.`,
    ]);
    // It is by another group that it is one.
    expect(statementsOf(error)).toEqual([`REVOKE app_api FROM ${both.login};`]);
  });

  it("is refused where it leads to another database", async () => {
    const error = await refusal(start({ DATABASE_URL: adminUrl, READ_DATABASE_URL: serverUrl }));
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      "READ_DATABASE_URL and DATABASE_URL lead to different databases of one server.",
    ]);
  });
});

describe("settings that lead nowhere", () => {
  it("are refused where two of them name different databases", async () => {
    const error = await refusal(start({ DATABASE_URL: adminUrl, MIGRATION_DATABASE_URL: serverUrl }));
    expect(error.problems.map(({ problem }) => problem)).toEqual([
      "MIGRATION_DATABASE_URL and DATABASE_URL lead to different databases.",
    ]);
  });

  it("name the database to make", async () => {
    const error = await refusal(start({ DATABASE_URL: urlOf(serverUrl, `${database}_none`) }));
    expect([error.exitCode, statementsOf(error)]).toEqual([78, [`CREATE DATABASE "${database}_none";`]]);
  });

  it("tell a wrong password from a server that isn't there", async () => {
    const wrong = urlOf(serverUrl, database, { user: "postgres", password: "canary-password" });
    const refused = await refusal(start({ DATABASE_URL: wrong }));
    expect([refused.exitCode, refused.problems[0]?.problem]).toEqual([
      78,
      "The server refuses the login of DATABASE_URL (28P01).",
    ]);
    const nowhere = await refusal(start({ DATABASE_URL: "postgres://postgres:canary-password@127.0.0.1:1/auditql" }));
    expect([nowhere.exitCode, nowhere.problems[0]?.problem]).toEqual([
      69,
      "PostgreSQL can't be reached with DATABASE_URL (connect ECONNREFUSED 127.0.0.1:1).",
    ]);
    for (const error of [refused, nowhere]) expect(everythingIn(error)).not.toContain("canary-password");
  });

  it("name the grant that lets a login connect", async () => {
    await query(serverUrl, `revoke connect on database ${database} from public`);
    const api = await makeLogin("own");
    const error = await refusal(start({ DATABASE_URL: api.url }));
    expect(statementsOf(error)).toEqual([`GRANT CONNECT ON DATABASE "${database}" TO "${api.login}";`]);
  });
});

it("tells no password in any error", async () => {
  await makeLogin("api");
  const api = await makeLogin("own");
  const errors = [await refusal(start({ DATABASE_URL: adminUrl })), await refusal(start({ DATABASE_URL: api.url }))];
  const files = (await keptFiles()).map(({ name }) => readFile(join(dataDir, "logins", name), "utf8"));
  const secrets = [new URL(adminUrl).password, new URL(api.url).password, ...(await Promise.all(files))];
  expect(secrets.length).toBeGreaterThan(2);
  for (const error of errors) {
    for (const secret of secrets) expect(everythingIn(error)).not.toContain(secret.trim());
  }
});

/** As a logger would print it, causes and all. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  const { message, stack, cause } = error;
  return [message, stack, JSON.stringify(error), cause === undefined ? "" : everythingIn(cause)].join("\n");
}
