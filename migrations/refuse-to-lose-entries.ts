import type { QueryRunner } from "typeorm";

/**
 * Ends a migration's way down where the log holds an entry.
 *
 * A log that tells of nothing but migrations may go, as in development; one with other entries, or with its guards gone,
 * is no one's to undo.
 */
export async function refuseToLoseEntries(runner: QueryRunner): Promise<void> {
  // The guard reads as an owner does, past row-level security: the login's own view might be empty.
  await runner.query(`set local role audit_guard`);
  const found: unknown = await runner.query(`
    select from audit.entry where resource_type is distinct from 'migration' limit 1`);
  await runner.query(`reset role`);
  if (Array.isArray(found) && found.length > 0) {
    throw new Error(
      "The audit log holds entries: this migration can't be reverted. Restore a backup elsewhere instead.",
    );
  }
}
