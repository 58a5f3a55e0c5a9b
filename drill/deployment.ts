import { join } from "node:path";
import { type ScratchCluster, type ScratchDatabase } from "../scratch/cluster.js";
import { run } from "../scratch/sql.js";
import { tokenMaker } from "../scratch/tokens.js";
import { migrate } from "../src/migrate.js";
import { Api, type ApiSettings } from "./api.js";
import { attempt, type Attempt, type Wish } from "./attempt.js";
import { queryOf } from "./mutations.js";

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

/** Some of everything that the log can hold, as clients of the API leave it. */
export async function leaveEntries({ settings }: Deployment, api: Api): Promise<Attempt[]> {
  const mint = await tokenMaker(settings.keyFolder);
  const admin = await mint("admin", "north", "ADMIN");
  const member = await mint("member", "north", "MEMBER");
  const attempts: Attempt[] = [];
  const send = async (operation: string, input: Wish["input"], token = admin): Promise<string> => {
    const wish = { operation, input, query: queryOf(operation), tenantId: "north", token };
    const made = await attempt(api.origin, wish, { run: 0, client: 0 });
    attempts.push(made);
    const row = made.told?.data?.[operation] as { readonly id?: string } | null | undefined;
    return row?.id ?? "";
  };
  const device = await send("createDevice", { serialNumber: "SN-1", name: "Sensor", provisioningSecret: "canary-1" });
  await send("updateDevice", { id: device, name: "Sensor, renamed" });
  await send("createDevice", { serialNumber: "SN-1", name: "taken" });
  await send("createDevice", { serialNumber: "SN-2", name: "refused" }, member);
  await send("createDevice", { serialNumber: "SN-4", name: "Sensor, left alone" });
  await send("deleteDevice", { id: await send("createDevice", { serialNumber: "SN-3", name: "Sensor, gone" }) });
  const chat = await send("createChat", { title: "Plans" });
  await send("createChat", { title: "Plans, below", parentChatId: chat });
  await send("archiveChats", { ids: [chat] });
  const group = await send("createGroup", { name: "Research" });
  await send("upsertGroupBudget", { groupId: group, spendLimitMicros: "500000000" });
  await send("upsertGroupBudget", { groupId: group, spendLimitMicros: "50000000" });
  return attempts;
}
