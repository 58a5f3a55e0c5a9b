import type { MigrationInterface, QueryRunner } from "typeorm";

/** The schema of the business tables, owned by the migrating login, and the trigger that dates their changes. */
export class BusinessSchema1795219207000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create schema app;
      grant usage on schema app to app_api;

      -- The clock, not the start of the statement: who waited for a row's lock has changed it after the other.
      create function app.touch_updated_at() returns trigger
      language plpgsql
      as $$
      begin
        new.updated_at := pg_catalog.clock_timestamp();
        return new;
      end
      $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop function app.touch_updated_at(); drop schema app`);
  }
}
