import { fencesOf } from "../audit/fence/fence.js";
import { installFences } from "../audit/fence/install.js";
import type { AuditedResource } from "../audit/index.js";
import type { DataSource } from "typeorm";
import { codeOf } from "../disk/code-of.js";
import { provisionError, ProvisionError } from "./error.js";
import { connectTo } from "./inspect.js";

/**
 * Brings the policies of these resources into the database: each audited table's fence as the code asks it.
 *
 * @param adminUrl the migrating login, the tables' owner
 * @returns what was made, a sentence each
 * @throws ProvisionError where the login may not
 */
export async function provisionFences(
  adminUrl: string,
  resources: readonly AuditedResource[],
  dataSource: DataSource,
  graceSeconds: number,
): Promise<string[]> {
  const fences = fencesOf(resources, dataSource);
  return connectTo("MIGRATION_DATABASE_URL", adminUrl, async (client) => {
    try {
      return await installFences(client, fences, graceSeconds);
    } catch (cause) {
      if (codeOf(cause) === "55P03") throw busy(cause);
      if (codeOf(cause) !== "42501") throw cause;
      const message = cause instanceof Error ? cause.message : "";
      const problem = `The migrating login may not make the fences of the audited tables (${message}).`;
      const remedy = "Set MIGRATION_DATABASE_URL to the login that ran the migrations and owns the tables.";
      throw provisionError({ problem, remedy, sql: [] }, cause);
    }
  });
}

function busy(cause: unknown): ProvisionError {
  const problem = "The fences of the audited tables can't be made: others hold locks on the tables for too long.";
  const remedy = "See pg_locks and pg_stat_activity for who, and start again.";
  return new ProvisionError([{ problem, remedy, sql: [] }], 69, { cause });
}
