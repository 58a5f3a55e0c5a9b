import type { MigrationInterface, QueryRunner } from "typeorm";

/**
 * The roles of the log. They are the cluster's, shared by all its databases, and none of them can log in.
 *
 * `audit_guard` owns the guards and may act as `audit_owner`, who owns the tables; never the other way round, so that
 * the tables' owner can't replace what guards them.
 */
export class Roles1795219201000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const role of ["audit_owner", "audit_guard", "audit_writer", "audit_reader", "app_api"]) {
      await runner.query(createRole(role));
    }
    await runner.query(grantRole("audit_owner", "audit_guard"));
    await runner.query(grantRole("audit_writer", "app_api"));
    await runner.query(joinGuard);
  }

  /** The roles stay: other databases of the cluster may rest on them. */
  async down(): Promise<void> {}
}

// Two databases may be migrated at once: whoever comes second finds the role made.
const createRole = (role: string) => `
  do $$
  begin
    if not exists (select from pg_roles where rolname = '${role}') then
      create role ${role} nologin;
    end if;
  exception when duplicate_object or unique_violation then null;
  end
  $$`;

const grantRole = (role: string, member: string) => `
  do $$
  begin
    if not exists (
      select from pg_auth_members where roleid = '${role}'::regrole and member = '${member}'::regrole
    ) then
      grant ${role} to ${member};
    end if;
  exception when unique_violation then null;
  end
  $$`;

// A superuser may act as anyone. A login with CREATEROLE alone has to join the guard that it made.
const joinGuard = `
  do $$
  begin
    set local role audit_guard;
    reset role;
  exception when insufficient_privilege then
    begin
      execute format('grant audit_guard to %I', current_user);
    exception when insufficient_privilege then
      raise exception 'The migrations act as audit_guard, which % may not', current_user
        using errcode = 'insufficient_privilege',
          hint = format('Let an administrator run: GRANT audit_guard TO %I', current_user);
    end;
  end
  $$`;
