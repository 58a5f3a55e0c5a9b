import type { ClientBase } from "pg";
import type { DataSource } from "typeorm";
import { tableOf } from "./audit/table.js";
import { shellPath } from "./shell-path.js";

const rights = ["SELECT", "INSERT", "UPDATE", "DELETE"] as const;

/**
 * Entities whose tables aren't there, or that the login may not use, each with what to do. Empty where all is well.
 *
 * @param dataDir where the embedded PostgreSQL has its data, which a developer can start anew; null where it is another's
 */
export async function tableFindings(
  client: ClientBase,
  { entityMetadatas }: DataSource,
  dataDir: string | null,
): Promise<string[]> {
  const paths = entityMetadatas.map(tableOf);
  const { rows } = await client.query<{ path: string; isMissing: boolean; lacking: string[] }>(
    `select path, found is null as "isMissing",
       array(select name from unnest($2::text[]) as name where found is not null and not has_table_privilege(found, name))
         as lacking
     from unnest($1::text[]) as path cross join lateral (select to_regclass(path) as found) as looked`,
    [paths, rights],
  );
  return rows.flatMap(({ path, isMissing, lacking }, index) => {
    const name = entityMetadatas[index]?.name ?? path;
    if (isMissing) return [`The table of ${name}, ${path}, isn't there: add its migration to migrations/index.ts.`];
    if (lacking.length === 0) return [];
    const grant = `grant ${lacking.join(", ").toLowerCase()} on ${path} to app_api`;
    // Every migration has run by now, and what one of them is given afterwards never does.
    return [
      `The API may not use the table of ${name}, and the migration that made it has run. Add a new one: \`${grant}\`.` +
        anew(dataDir),
    ];
  });
}

const anew = (dataDir: string | null): string =>
  dataDir === null
    ? ""
    : ` Or add that to the one that has run, and start with new data: \`rm -r ${shellPath(dataDir)}\`.`;
