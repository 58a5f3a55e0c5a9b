import { DataSource, type MigrationInterface, type QueryRunner } from "typeorm";
import { features } from "../../src/features.js";
import { Chat } from "../../src/chats/chat.entity.js";
import { Device } from "../../src/devices/device.entity.js";
import { Group } from "../../src/groups/group.entity.js";
import type { Escaper, Line, LineGround } from "./line.js";

const programmers: readonly Escaper[] = ["API", "second application", "owner"];

/** Programs that use the entities, and not the API. */
export const programs: readonly Line[] = [
  script("a rogue TypeORM script: save()", async (source) => {
    const repository = source.getRepository(Device);
    const device = await repository.findOneByOrFail({ serialNumber: "SN-1" });
    await repository.save(Object.assign(device, { name: "escaped" }));
  }),
  script("a rogue TypeORM script: update()", (source) =>
    source.getRepository(Device).update({ tenantId: "north" }, { name: "escaped" }),
  ),
  script("a rogue TypeORM script: insert()", (source) =>
    source.getRepository(Group).insert({ tenantId: "north", name: "escaped" }),
  ),
  script("a rogue TypeORM script: delete()", (source) => source.getRepository(Device).delete({ serialNumber: "SN-1" })),
  script("a rogue TypeORM script: a query builder in a transaction", (source) =>
    source.transaction((manager) =>
      manager.createQueryBuilder().update(Chat).set({ archived: true, title: "escaped" }).execute(),
    ),
  ),
  script("a rogue TypeORM script: query()", (source) => source.query(`update app.device set name = 'escaped'`)),
  {
    what: "a migration of the application's",
    by: ["owner", "superuser"],
    run: async ({ url }) => {
      const source = new DataSource({
        type: "postgres",
        url,
        schema: "auditql",
        migrations: [Escape1999999999999],
        migrationsTableName: "escape",
        installExtensions: false,
      });
      await using(source, () => source.runMigrations({ transaction: "each" }));
      return undefined;
    },
  },
];

class Escape1999999999999 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`update app.device set name = upper(name)`);
    await runner.query(`insert into app."group" (tenant_id, name) values ('north', 'migrated')`);
  }

  async down(): Promise<void> {
    // It is never undone.
  }
}

function script(what: string, work: (source: DataSource) => Promise<unknown>): Line {
  const run = async ({ url }: LineGround): Promise<undefined> => {
    const entities = features.flatMap((feature) => [...feature.entities]);
    const source = new DataSource({ type: "postgres", url, entities, installExtensions: false });
    await using(source, () => work(source));
  };
  return { what, by: programmers, run };
}

async function using(source: DataSource, work: () => Promise<unknown>): Promise<void> {
  await source.initialize();
  try {
    await work();
  } finally {
    await source.destroy();
  }
}
