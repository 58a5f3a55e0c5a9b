import type { MigrationInterface, QueryRunner } from "typeorm";

/** Devices. A heartbeat changes `last_seen_at` alone: it touches no index and doesn't count as an update. */
export class Device1795219208000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table app.device (
        tenant_id text collate "C" not null
          constraint device_tenant_id check (octet_length(tenant_id) <= 63 and tenant_id ~ '^[a-z0-9][a-z0-9_-]*$'),
        id uuid not null default gen_random_uuid(),
        serial_number text collate "C" not null,
        name text not null,
        status text not null default 'ACTIVE'
          constraint device_status check (status in ('ACTIVE', 'SUSPENDED', 'RETIRED')),
        firmware_version text,
        provisioning_secret text,
        last_seen_at timestamptz,
        created_at timestamptz not null default statement_timestamp(),
        updated_at timestamptz not null default statement_timestamp(),
        constraint device_pkey primary key (tenant_id, id),
        constraint device_serial_number unique (tenant_id, serial_number)
      ) with (fillfactor = 90);

      create trigger touch_updated_at before update on app.device for each row
        when (
          (old.tenant_id, old.id, old.serial_number, old.name, old.status, old.firmware_version,
            old.provisioning_secret, old.created_at, old.updated_at)
          is distinct from
          (new.tenant_id, new.id, new.serial_number, new.name, new.status, new.firmware_version,
            new.provisioning_secret, new.created_at, new.updated_at)
        )
        execute function app.touch_updated_at();

      grant select, insert, update, delete on app.device to app_api`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table app.device`);
  }
}
