import { setTimeout as delay } from "node:timers/promises";
import { DataSource } from "typeorm";
import type { ScratchCluster } from "../../scratch/cluster.js";
import { rowsOf, run } from "../../scratch/sql.js";
import { tokenMaker } from "../../scratch/tokens.js";
import { migrations } from "../../migrations/index.js";
import { features } from "../../src/features.js";
import { Api, ApiStartError } from "../../scratch/api.js";
import type { Tried } from "../attack.js";
import type { Deployment } from "../../scratch/deployment.js";
import type { Judgement } from "../outcome.js";
import { added, alterations, logState } from "./state.js";

/** What isn't done by one statement: the schema synchronised, migrations undone, a mighty login served with, HTTP. */
export async function otherWays(cluster: ScratchCluster, guarded: Deployment, plain: Deployment): Promise<Tried[]> {
  const tried: Tried[] = [];
  const note = (aim: string, what: string, who: string, judgement: Judgement) =>
    tried.push({ aim, what, who, ...judgement });
  for (const [who, base] of [
    ["superuser", guarded],
    ["migrating login", plain],
  ] as const) {
    note("undo", "TypeORM's synchronize with dropSchema off", who, await inCopy(cluster, base, synchronize));
    note("undo", "every migration undone, the last first", who, await inCopy(cluster, base, undoMigrations));
  }
  note("unguard", "served with a login that may update the log", "API", await serveTooMighty(cluster, plain));
  for (const [what, judgement] of await overHttp(guarded)) note("forge", what, "client", judgement);
  return tried;
}

/** Does something to a copy that nobody minds, and looks what became of its log. */
async function inCopy(
  cluster: ScratchCluster,
  { database, migratingUrl }: Deployment,
  work: (url: string) => Promise<void>,
): Promise<Judgement> {
  const copy = await cluster.database("copy_other", database.name);
  const url = new URL(migratingUrl);
  url.pathname = `/${copy.name}`;
  try {
    const before = await logState(copy.adminUrl);
    if (before === null) throw new Error("The log can't be read before the attack.");
    const refusal = await refusalOf(() => work(url.href));
    const harm = alterations(before, await logState(copy.adminUrl));
    if (harm.length > 0) return { outcome: "LOST", how: harm.join(", ") };
    return { outcome: "refused", how: refusal ?? "without effect" };
  } finally {
    await run(cluster.adminUrl, `drop database ${copy.name} with (force)`);
  }
}

async function refusalOf(work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  }
}

async function synchronize(url: string): Promise<void> {
  const entities = features.flatMap((feature) => [...feature.entities]);
  await withSource(new DataSource({ type: "postgres", url, entities, installExtensions: false }), (source) =>
    source.synchronize(),
  );
}

async function undoMigrations(url: string): Promise<void> {
  const source = new DataSource({
    type: "postgres",
    url,
    schema: "auditql",
    migrations: [...migrations],
    migrationsTableName: "migration",
    installExtensions: false,
  });
  await withSource(source, async () => {
    for (let undone = 0; undone < migrations.length; undone++) await source.undoLastMigration({ transaction: "each" });
  });
}

async function withSource(source: DataSource, work: (source: DataSource) => Promise<void>): Promise<void> {
  await source.initialize();
  try {
    await work(source);
  } finally {
    await source.destroy();
  }
}

/** Where no event trigger refuses the grant, the start has to refuse to serve. */
async function serveTooMighty(cluster: ScratchCluster, { database, settings }: Deployment): Promise<Judgement> {
  const copy = await cluster.database("copy_mighty", database.name);
  try {
    await run(copy.adminUrl, `grant update on audit.entry to app_api`);
    const api = await Api.start({ ...settings, database: copy });
    await api.kill();
    return { outcome: "LOST", how: "it serves" };
  } catch (error) {
    if (error instanceof ApiStartError) return { outcome: "refused", how: `exit code ${String(error.exitCode)}` };
    throw error;
  } finally {
    await run(cluster.adminUrl, `drop database ${copy.name} with (force)`);
  }
}

const forgeries: readonly (readonly [what: string, path: string, body: unknown])[] = [
  ["POST /api/v2/audit/testgenerate", "/api/v2/audit/testgenerate", {}],
  ["POST /auditlog", "/auditlog", { action: "DELETE" }],
  ...["createAuditEntry", "auditLog", "reportEntry", "deleteAuditEntry", "updateAuditEntry"].map(
    (field) => [`mutation { ${field} }`, "/graphql", { query: `mutation { ${field} { id } }` }] as const,
  ),
];

const ENTERED_DEADLINE = 10_000;

/** The opening of the session in which a start is told is entered beside it: it isn't to be taken for a forgery. */
async function isEntered(adminUrl: string): Promise<void> {
  const end = performance.now() + ENTERED_DEADLINE;
  for (;;) {
    const opened = await rowsOf(
      adminUrl,
      `select from audit.entry where event_type = 'audit_session.started' and resource_id =
         (select session_id::text from audit.entry where event_type = 'api.started' order by id desc limit 1)`,
    );
    if (opened.length > 0) return;
    if (performance.now() > end) throw new Error("The API's session wasn't entered in the log.");
    await delay(20);
  }
}

/** As an admin and a platform auditor at once, who may ask for anything. */
async function overHttp({ database: { adminUrl }, settings }: Deployment): Promise<[string, Judgement][]> {
  const mint = await tokenMaker(settings.keyFolder);
  const token = await mint("forger", "north", "ADMIN");
  const api = await Api.start(settings);
  const judged: [string, Judgement][] = [];
  try {
    await isEntered(adminUrl);
    for (const [what, path, body] of forgeries) {
      const before = await logState(adminUrl);
      const response = await fetch(`${api.origin}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
      const now = await logState(adminUrl);
      const harm = before === null ? ["the log can't be read"] : [...alterations(before, now), ...added(before, now)];
      const how = `HTTP ${String(response.status)}`;
      judged.push([what, harm.length === 0 ? { outcome: "refused", how } : { outcome: "LOST", how: harm.join(", ") }]);
    }
  } finally {
    await api.stop();
  }
  return judged;
}
