import type { GraphQLSchema } from "graphql";
import type { DataSource } from "typeorm";
import { mutationDecisions } from "./audit/index.js";
import type { Config } from "./config.js";
import type { EmbeddedPostgres } from "./embedded-postgres.js";
import { graphiqlIsInstalled } from "./http/graphiql.js";
import { tokenCommand } from "./token-command.js";

interface BannerParts {
  readonly config: Config;
  /** Such as `http://127.0.0.1:4000`. */
  readonly origin: string;
  readonly schema: GraphQLSchema;
  readonly embedded: EmbeddedPostgres | null;
  readonly write: DataSource;
  readonly apiUrl: string;
}

/** What whoever started it should know: the database, the mutations, the URLs, what to try next; last, that it serves. */
export async function bannerOf(parts: BannerParts): Promise<string> {
  const { config, origin } = parts;
  const decisions = mutationDecisions(parts.schema);
  const exempt = decisions.filter(({ audited }) => audited === null).length;
  const lines = [
    ["database", await databaseOf(parts)],
    ["mutations", `${decisions.length}: ${decisions.length - exempt} audited, ${exempt} exempt`],
    // There is no other mode, as /readyz says too.
    ["auditing", "strict: no change is committed without its entry"],
    ["graphql", `${origin}/graphql`],
    ...(config.auditSocket === null ? [] : [["socket", config.auditSocket]]),
    ...(config.development && graphiqlIsInstalled() ? [["graphiql", `${origin}/graphiql`]] : []),
    ["health", `${origin}/healthz  ${origin}/readyz  ${origin}/metrics`],
    ["try", nextCommand(parts)],
  ];
  return [
    "AuditQL",
    ...lines.map(([name = "", text = ""]) => `  ${name.padEnd(10)} ${text}`),
    `ready ${origin}/graphql`,
    "",
  ].join("\n");
}

async function databaseOf({ config, embedded, write, apiUrl }: BannerParts): Promise<string> {
  if (embedded)
    return `PostgreSQL ${embedded.version}, embedded, data in ${config.dataDir}${embedded.reused ? " (it already ran)" : ""}`;
  const { username, host, pathname } = new URL(apiUrl);
  const [row] = await write.query<{ version: string }[]>("select current_setting('server_version') as version");
  return `PostgreSQL ${row?.version ?? ""}, postgres://${username}@${host}${pathname}`;
}

function nextCommand({ config, origin }: BannerParts): string {
  if (!config.development || config.tokens) return `curl -s ${origin}/readyz`;
  const token = tokenCommand(config.dataDir, `--tenant acme --subject u-1 --name "Sample Admin" --role admin`);
  const query = `{"query":"mutation { createGroup(input: { name: \\"Research\\" }) { id name } }"}`;
  return [
    `curl -s ${origin}/graphql -H "authorization: Bearer $(${token})" \\`,
    `${" ".repeat(17)}-H 'content-type: application/json' -d '${query}'`,
  ].join("\n");
}
