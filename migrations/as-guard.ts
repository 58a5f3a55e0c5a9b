import type { QueryRunner } from "typeorm";

/**
 * Runs statements as `audit_guard`, the only role whose DDL on the log the event trigger lets through.
 *
 * The login is back afterwards. Where a statement fails the transaction is lost, and the role with it.
 */
export async function asGuard(runner: QueryRunner, ...statements: string[]): Promise<void> {
  await runner.query(`set local role audit_guard`);
  for (const statement of statements) await runner.query(statement);
  await runner.query(`reset role`);
}
