import type { MigrationInterface, QueryRunner } from "typeorm";

/** Groups and what they may spend on AI. A group's budget is deleted before it, never by a cascade: it has an entry. */
export class Group1795219210000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table app."group" (
        tenant_id text collate "C" not null
          constraint group_tenant_id check (octet_length(tenant_id) <= 63 and tenant_id ~ '^[a-z0-9][a-z0-9_-]*$'),
        id uuid not null default gen_random_uuid(),
        name text not null,
        created_at timestamptz not null default statement_timestamp(),
        updated_at timestamptz not null default statement_timestamp(),
        constraint group_pkey primary key (tenant_id, id)
      ) with (fillfactor = 90);

      create table app.group_budget (
        tenant_id text collate "C" not null,
        group_id uuid not null,
        spend_limit_micros bigint not null
          constraint group_budget_spend_limit check (spend_limit_micros between 0 and 1000000000000),
        created_at timestamptz not null default statement_timestamp(),
        updated_at timestamptz not null default statement_timestamp(),
        constraint group_budget_pkey primary key (tenant_id, group_id),
        constraint group_budget_group foreign key (tenant_id, group_id) references app."group" (tenant_id, id)
      ) with (fillfactor = 90);

      create trigger touch_updated_at before update on app."group" for each row
        when (old.* is distinct from new.*) execute function app.touch_updated_at();
      create trigger touch_updated_at before update on app.group_budget for each row
        when (old.* is distinct from new.*) execute function app.touch_updated_at();

      grant select, insert, update, delete on app."group", app.group_budget to app_api`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table app.group_budget; drop table app."group"`);
  }
}
