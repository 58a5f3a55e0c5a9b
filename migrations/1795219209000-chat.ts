import type { MigrationInterface, QueryRunner } from "typeorm";

/** Chats, which stand in trees. A tree is deleted by one statement, or from its leaves up. */
export class Chat1795219209000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table app.chat (
        tenant_id text collate "C" not null
          constraint chat_tenant_id check (octet_length(tenant_id) <= 63 and tenant_id ~ '^[a-z0-9][a-z0-9_-]*$'),
        id uuid not null default gen_random_uuid(),
        owner_id text collate "C" not null,
        parent_chat_id uuid,
        title text not null,
        archived boolean not null default false,
        pin_order integer not null default 0,
        labels jsonb not null default '{}' constraint chat_labels check (jsonb_typeof(labels) = 'object'),
        mode text not null default 'ASK' constraint chat_mode check (mode in ('ASK', 'AGENT')),
        plan_mode text,
        mcp_server_ids text[] not null default '{}',
        workspace_id text,
        created_at timestamptz not null default statement_timestamp(),
        updated_at timestamptz not null default statement_timestamp(),
        constraint chat_pkey primary key (tenant_id, id),
        constraint chat_parent foreign key (tenant_id, parent_chat_id) references app.chat (tenant_id, id),
        constraint chat_own_parent check (parent_chat_id <> id)
      ) with (fillfactor = 90);

      create index chat_children on app.chat (tenant_id, parent_chat_id) where parent_chat_id is not null;
      create index chat_of_owner on app.chat (tenant_id, owner_id, id);

      create trigger touch_updated_at before update on app.chat for each row
        when (old.* is distinct from new.*) execute function app.touch_updated_at();

      grant select, insert, update, delete on app.chat to app_api`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table app.chat`);
  }
}
