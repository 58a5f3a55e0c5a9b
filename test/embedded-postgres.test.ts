import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../src/embedded-postgres.js";
import { lookUpProcess } from "../src/disk/process.js";
import { query } from "./support/postgres.js";
import { until } from "./support/until.js";

const asRoot = process.getuid?.() === 0;
const nobody = 65_534;
const compiled = new URL("../dist/src/embedded-postgres.js", import.meta.url);

/** A stopped cluster that most tests copy: to make one, and to remove what initdb synced, takes far longer. */
let seed: string;
let parent: string;
let dataDir: string;
/** What a test may leave running: ended after it, whatever became of it. */
let servers: EmbeddedPostgres[];
let owners: ChildProcess[];

beforeAll(async () => {
  seed = await mkdtemp(join(tmpdir(), "auditql-embedded-seed-"));
  await chmod(seed, 0o755);
  await (await startEmbeddedPostgres({ dataDir: seed })).stop();
});

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "auditql-embedded-"));
  await chmod(parent, 0o755);
  dataDir = join(parent, "data");
  servers = [];
  owners = [];
});

afterEach(async () => {
  for (const server of servers) await server.stop();
  for (const owner of owners) owner.kill("SIGKILL");
  const left = await postmasterPid().catch(() => undefined);
  if (left !== undefined && (await lookUpProcess(left))?.name === "postgres") await kill(left, "SIGQUIT");
  await rm(parent, { recursive: true, force: true, maxRetries: 10 });
});

afterAll(() => rm(seed, { recursive: true, force: true }));

/** As an earlier run that ended well has left it. */
function copySeed(): void {
  execFileSync("cp", ["-a", seed, dataDir]);
}

async function start(): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir });
  servers.push(server);
  return server;
}

/** A process of its own that starts a server and says so; it waits until it is killed. */
function startOwner(ids: { uid?: number; gid?: number } = {}): ChildProcess {
  const program = `
    const { startEmbeddedPostgres } = await import(process.argv[1]);
    const server = await startEmbeddedPostgres({ dataDir: process.argv[2] });
    setInterval(() => undefined, 1_000);
    process.on("SIGTERM", () => void server.stop().then(() => process.exit(0)));
    console.log("started", server.url);`;
  const args = ["--input-type=module", "-e", program, compiled.href, dataDir];
  const owner = spawn(process.execPath, args, { ...ids, cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  owners.push(owner);
  return owner;
}

async function started(owner: ChildProcess): Promise<void> {
  let said = "";
  owner.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
  await until(() => said.startsWith("started"), { what: "the owner has started its server", deadline: 15_000 });
}

async function postmasterPid(): Promise<number> {
  return Number((await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8")).split("\n")[0]);
}

async function kill(pid: number, signal: NodeJS.Signals): Promise<void> {
  process.kill(pid, signal);
  const ended = async (): Promise<boolean> => (await lookUpProcess(pid)) === undefined;
  await until(ended, { what: `process ${pid} has ended`, deadline: 10_000 });
}

async function setting(url: string, name: string): Promise<unknown> {
  return (await query(url, "SELECT current_setting($1) AS value", [name]))[0]?.["value"];
}

describe("a first start", () => {
  it("makes a cluster that only its password opens, on the loopback address alone", async () => {
    const server = await start();
    expect(server.reused).toBe(false);
    expect(server.version).toMatch(/^18\.\d+$/);
    expect(await setting(server.url, "listen_addresses")).toBe("127.0.0.1");
    expect(await setting(server.url, "unix_socket_directories")).toBe("");
    expect(await setting(server.url, "fsync")).toBe("on");
    expect(await setting(server.url, "synchronous_commit")).toBe("on");
    expect(await query(server.url, "SELECT current_database() AS name, current_user AS role")).toEqual([
      { name: "auditql", role: "postgres" },
    ]);
    const wrong = new URL(server.url);
    wrong.password = "wrong";
    await expect(query(wrong.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  });

  it("keeps password and log where only their owner reads them", async () => {
    await start();
    for (const file of ["postgres-password", "postgres.log"]) {
      expect((await stat(join(dataDir, file))).mode & 0o777).toBe(0o600);
    }
  });

  it("begins anew where one was killed in the middle of it", async () => {
    const owner = startOwner();
    await until(async () => (await readdir(dataDir)).find((name) => /\.new\.\w+$/.test(name)), {
      what: "the cluster is being made",
      interval: 1,
    });
    owner.kill("SIGKILL");
    await once(owner, "exit");
    expect(await readdir(dataDir)).not.toContain("postgres");
    const server = await start();
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect((await readdir(dataDir)).sort()).toEqual(["postgres", "postgres-password", "postgres.lock", "postgres.log"]);
  });
});

it("logs no value of a statement that fails", async () => {
  copySeed();
  const server = await start();
  await expect(query(server.url, "SELECT 'canary'::int")).rejects.toMatchObject({ code: "22P02" });
  await query(server.url, "CREATE TABLE kept (word text CHECK (word <> 'canary'))");
  await expect(query(server.url, "INSERT INTO kept VALUES ($1)", ["canary"])).rejects.toMatchObject({ code: "23514" });
  await server.stop();
  const log = await readFile(join(dataDir, "postgres.log"), "utf8");
  expect(log).toContain("database system is shut down");
  expect(log).not.toContain("canary");
});

describe("a stop", () => {
  it("ends the server, and what was committed is there at the next start", async () => {
    copySeed();
    const first = await start();
    await query(first.url, "CREATE TABLE kept AS SELECT 42 AS answer");
    const pid = await postmasterPid();
    await first.stop();
    await first.stop();
    expect(await lookUpProcess(pid)).toBeUndefined();
    await expect(query(first.url, "SELECT 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    const second = await start();
    expect(second.reused).toBe(false);
    expect(await query(second.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });

  it("doesn't wait for connections that are still open", async () => {
    copySeed();
    const server = await start();
    const open = query(server.url, "SELECT pg_sleep(60)").catch((error: unknown) => error);
    const running = "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'";
    await until(async () => (await query(server.url, running)).length === 1, { what: "the long statement runs" });
    await server.stop();
    expect(await open).toMatchObject({ code: "57P01" });
  });
});

describe("what a crash left behind", () => {
  beforeEach(copySeed);

  it("is the server itself, which is reused, and stopped in the end", async () => {
    const owner = startOwner();
    await started(owner);
    const pid = await postmasterPid();
    owner.kill("SIGKILL");
    await once(owner, "exit");
    const server = await start();
    expect(server.reused).toBe(true);
    expect(await postmasterPid()).toBe(pid);
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await server.stop();
    expect(await lookUpProcess(pid)).toBeUndefined();
  });

  it("is cleared where the server was killed as well", async () => {
    const owner = startOwner();
    await started(owner);
    const pid = await postmasterPid();
    owner.kill("SIGKILL");
    await once(owner, "exit");
    await kill(pid, "SIGKILL");
    const server = await start();
    expect(server.reused).toBe(false);
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("is cleared where another program has its process id by now", async () => {
    const file = join(dataDir, "postgres", "postmaster.pid");
    await writeFile(file, `${process.pid}\n${join(dataDir, "postgres")}\n1\n1\n\n127.0.0.1\n1 1\nready   \n`);
    expect((await start()).reused).toBe(false);
  });

  it("is named, with folder and process, where it doesn't take our password", async () => {
    const owner = startOwner();
    await started(owner);
    const pid = await postmasterPid();
    owner.kill("SIGKILL");
    await once(owner, "exit");
    await writeFile(join(dataDir, "postgres-password"), "another\n");
    const failure = start();
    await expect(failure).rejects.toMatchObject({ name: "EmbeddedPostgresError", reason: "in-use" });
    await expect(failure).rejects.toThrow(
      new RegExp(`${join(dataDir, "postgres")} as process ${pid},.*kill -INT ${pid}`),
    );
  });
});

describe("a folder", () => {
  it("is one process's at a time, and the second is told whose", async () => {
    copySeed();
    await start();
    const second = start();
    await expect(second).rejects.toMatchObject({ name: "EmbeddedPostgresError", reason: "in-use" });
    await expect(second).rejects.toThrow(`${dataDir} is in use by process ${process.pid}`);
  });

  it("that several take at once goes to one of them", async () => {
    copySeed();
    const attempts = await Promise.allSettled([start(), start(), start(), start()]);
    expect(attempts.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected", "rejected"]);
  });

  it("that holds something else is left alone", async () => {
    await mkdir(join(dataDir, "postgres"), { recursive: true });
    await writeFile(join(dataDir, "postgres", "letter.txt"), "dear");
    if (asRoot) await chown(join(dataDir, "postgres"), nobody, nobody);
    await expect(start()).rejects.toMatchObject({ name: "EmbeddedPostgresError", reason: "damaged" });
    expect(await readFile(join(dataDir, "postgres", "letter.txt"), "utf8")).toBe("dear");
  });

  it("of another version is named", async () => {
    copySeed();
    await writeFile(join(dataDir, "postgres", "PG_VERSION"), "17\n");
    await expect(start()).rejects.toThrow(/was made by PostgreSQL 17, and this is 18/);
  });

  it("whose password was lost says so", async () => {
    copySeed();
    await rm(join(dataDir, "postgres-password"));
    await expect(start()).rejects.toThrow(/postgres-password is missing/);
  });

  it.skipIf(!asRoot || spawnSync("setpriv", ["--version"]).error)("that only root can enter will do", async () => {
    await chmod(parent, 0o700);
    const server = await start();
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect((await stat(join(dataDir, "postgres"))).uid).not.toBe(0);
  });

  it.skipIf(!asRoot || !isReachable(nobody))("of an ordinary user is served as that user", async () => {
    await mkdir(dataDir);
    await chown(dataDir, nobody, nobody);
    const owner = startOwner({ uid: nobody, gid: nobody });
    await started(owner);
    expect((await stat(`/proc/${await postmasterPid()}`)).uid).toBe(nobody);
    expect((await stat(join(dataDir, "postgres-password"))).uid).toBe(nobody);
    owner.kill("SIGTERM");
    expect(await once(owner, "exit")).toEqual([0, null]);
  });
});

function isReachable(uid: number): boolean {
  return spawnSync(process.execPath, ["--check", compiled.pathname], { uid, gid: uid, cwd: "/" }).status === 0;
}
