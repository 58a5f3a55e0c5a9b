import { join } from "node:path";
import { migrate } from "../src/migrate.js";
import { Api, type ApiSettings } from "./api.js";
import type { ScratchCluster, ScratchDatabase } from "./cluster.js";
import { run } from "./sql.js";

/** A database as a deployment leaves it, ready to be served with restricted logins. */
export interface Deployment {
  readonly database: ScratchDatabase;
  /** Who migrates, and owns the business tables. */
  readonly migratingUrl: string;
  readonly settings: ApiSettings;
}

/**
 * Makes a database and starts the API once with the migrating login, as for a deployment: the superuser, who may make
 * event triggers, or a login as the README has it, who may not.
 */
export async function deploy(
  cluster: ScratchCluster,
  name: string,
  by: "superuser" | "migrating login" = "superuser",
): Promise<Deployment> {
  const database = by === "superuser" ? await cluster.database(name) : cluster.urlsOf(name);
  const migratingUrl = by === "superuser" ? database.adminUrl : await emptyDatabase(cluster, name);
  if (by !== "superuser") await migrate(migratingUrl);
  const settings = { database, folder: join(cluster.folder, `api-${name}`), keyFolder: cluster.folder };
  const api = await Api.start({ ...settings, env: { MIGRATION_DATABASE_URL: migratingUrl } });
  await api.stop();
  return { database, migratingUrl, settings };
}

async function emptyDatabase(cluster: ScratchCluster, name: string): Promise<string> {
  const login = await cluster.login("migrator", "createrole");
  await run(
    cluster.adminUrl,
    `create database ${name}`,
    `grant create on database ${name} to ${login.user}`,
    // What it would hold of the roles, had it made them: the superuser's first migration has.
    `grant audit_guard to ${login.user} with admin option`,
    `grant audit_owner, audit_writer, audit_reader, app_api to ${login.user} with admin true, inherit false, set false`,
  );
  return cluster.urlOf(name, login);
}
