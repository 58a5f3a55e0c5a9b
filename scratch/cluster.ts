import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "../src/embedded-postgres.js";
import { migrate } from "../src/migrate.js";
import { run } from "./sql.js";

/** A database of a scratch cluster, with the logins that the application would have. */
export interface ScratchDatabase {
  readonly name: string;
  /** As the superuser. */
  readonly adminUrl: string;
  readonly apiUrl: string;
  readonly readerUrl: string;
}

export interface ClusterOptions {
  /** What it is for: part of its folder's and its logins' names. */
  readonly purpose: string;
  /** Settings of the server, as `ALTER SYSTEM SET` takes them; those that need a restart get one. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** How a server ends: as it is asked to, at once, or by the death of its first process. */
export type Halt = "fast" | "immediate" | "killed";

interface Login {
  readonly user: string;
  readonly password: string;
}

/** A PostgreSQL of a program's own, in a scratch folder, with a migrated database to clone. */
export class ScratchCluster {
  readonly version: string;
  readonly #template: string;
  #server: EmbeddedPostgres;
  #postmaster = 0;
  #running = true;

  private constructor(
    server: EmbeddedPostgres,
    /** Also holds the key that tokens are signed with. */
    readonly folder: string,
    private readonly purpose: string,
    private readonly logins: { readonly api: Login; readonly reader: Login },
  ) {
    this.#server = server;
    this.version = server.version;
    this.#template = `${purpose}_template`;
  }

  static async start({ purpose, settings = {} }: ClusterOptions): Promise<ScratchCluster> {
    const folder = await mkdtemp(join(tmpdir(), `auditql-${purpose}-`));
    // As root, PostgreSQL runs as another user, who has to enter the folder.
    await chmod(folder, 0o755);
    const server = await startEmbeddedPostgres({ dataDir: folder }).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw error;
    });
    const logins = { api: newLogin(`${purpose}_app_api`), reader: newLogin(`${purpose}_audit_reader`) };
    const cluster = new ScratchCluster(server, folder, purpose, logins);
    try {
      await cluster.#lookUpPostmaster();
      await cluster.#prepare(settings);
      return cluster;
    } catch (error) {
      await cluster.remove();
      throw error;
    }
  }

  /** The superuser's login to a database that nothing uses. */
  get adminUrl(): string {
    return this.#server.url;
  }

  /** The id of the server's first process. */
  get postmaster(): number {
    return this.#postmaster;
  }

  /** The folder with the server's own data. */
  get dataFolder(): string {
    return join(this.folder, "postgres");
  }

  /** Makes a migrated database, or a copy of another one that nobody is connected to. */
  async database(name: string, template = this.#template): Promise<ScratchDatabase> {
    await this.#clone(name, template);
    return this.urlsOf(name);
  }

  urlsOf(name: string): ScratchDatabase {
    const url = (login?: Login) => this.urlOf(name, login);
    return { name, adminUrl: url(), apiUrl: url(this.logins.api), readerUrl: url(this.logins.reader) };
  }

  urlOf(database: string, login?: Login): string {
    const url = new URL(this.adminUrl);
    url.pathname = `/${database}`;
    if (login) [url.username, url.password] = [login.user, login.password];
    return url.href;
  }

  /** Makes a login, with the options and memberships that `create role` takes. */
  async login(name: string, options: string): Promise<Login> {
    const login = newLogin(`${this.purpose}_${name}`);
    await run(this.adminUrl, `create role ${login.user} login password '${login.password}' ${options}`);
    return login;
  }

  /** Ends the server, its data as that leaves it; `resume` starts it again. */
  async halt(how: Halt): Promise<void> {
    this.#running = false;
    if (how !== "fast") process.kill(this.#postmaster, how === "killed" ? "SIGKILL" : "SIGQUIT");
    await this.#server.stop();
  }

  /** Starts the server where it was, under the same URLs. */
  async resume(): Promise<void> {
    this.#server = await startEmbeddedPostgres({ dataDir: this.folder, port: Number(new URL(this.adminUrl).port) });
    this.#running = true;
    await this.#lookUpPostmaster();
  }

  /** Ends the server and removes the folder. */
  async remove(): Promise<void> {
    if (this.#running) await this.#server.stop();
    this.#running = false;
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #lookUpPostmaster(): Promise<void> {
    this.#postmaster = Number.parseInt(await readFile(join(this.dataFolder, "postmaster.pid"), "utf8"), 10);
  }

  async #prepare(settings: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(settings);
    await run(this.adminUrl, ...names.map((name) => `alter system set ${name} = '${settings[name] ?? ""}'`));
    if (names.length > 0) {
      await this.halt("fast");
      await this.resume();
    }
    await run(this.adminUrl, `create database ${this.#template}`);
    await migrate(this.urlOf(this.#template));
    for (const [group, { user, password }] of [
      ["app_api", this.logins.api],
      ["audit_reader", this.logins.reader],
    ] as const)
      await run(this.adminUrl, `create role ${user} login password '${password}' in role ${group}`);
  }

  /** Whoever was connected to the template may not have gone yet. */
  async #clone(name: string, template: string): Promise<void> {
    const end = performance.now() + 20_000;
    for (;;)
      try {
        await run(this.adminUrl, `create database "${name}" template ${template}`);
        return;
      } catch (error) {
        if (!(error instanceof pg.DatabaseError && error.code === "55006") || performance.now() > end) throw error;
        await delay(20 + Math.random() * 50);
      }
  }
}

const newLogin = (user: string): Login => ({ user, password: randomBytes(18).toString("base64url") });
