import { expect, test } from "vitest";
import { createDatabase, query } from "../support/postgres.js";

test("try", async () => {
  const database = await createDatabase();
  console.log(database.adminUrl);
  console.log(await query(database.adminUrl, "select * from audit_guard.fence_damage()"));
  await query(database.adminUrl, "insert into app.device (tenant_id, serial_number, name, provisioning_secret) values ('acme','s','n','x')");
  await query(database.adminUrl, "update app.device set name='b', provisioning_secret='yy', last_seen_at=now()");
  await query(database.adminUrl, "update app.device set last_seen_at=now()");
  await query(database.adminUrl, "delete from app.device");
  const rows = await query(database.adminUrl, "select event_type, actor_type, actor_name, resource_label, changes, ip, application_name, octet_length(salts) from audit.entry order by id");
  console.log(JSON.stringify(rows, null, 1));
  expect(1).toBe(1);
  await database.drop();
});
