import { copyIn } from "./copy-in.js";
import { escapers, statements, type Line } from "./line.js";

const rename = `update app.device set name = 'escaped' where serial_number = 'SN-1'`;
const cascading = [
  `alter table app.group_budget drop constraint group_budget_group`,
  `alter table app.group_budget add constraint group_budget_group
     foreign key (tenant_id, group_id) references app."group" (tenant_id, id) on delete cascade on update cascade`,
];

/** What SQL can do to a row in one way or another. */
export const plainSql: readonly Line[] = [
  statements("psql: UPDATE", escapers, [rename]),
  statements("psql: INSERT", escapers, [
    `insert into app.device (tenant_id, serial_number, name) values ('north', 'SN-9', 'escaped')`,
  ]),
  statements("psql: DELETE", escapers, [`delete from app.device where serial_number = 'SN-1'`]),
  statements("psql: UPDATE of a secret", escapers, [`update app.device set provisioning_secret = 'escaped'`]),
  statements("a bulk UPDATE of every row", escapers, [
    `update app.chat set title = title || '!', archived = not archived`,
  ]),
  statements("an upsert", escapers, [
    `insert into app.device (tenant_id, serial_number, name) values ('north', 'SN-1', 'escaped')
       on conflict (tenant_id, serial_number) do update set name = excluded.name`,
  ]),
  statements("MERGE", escapers, [
    `merge into app.device using (values ('SN-1'), ('SN-9')) as given (number) on serial_number = number
       when matched then update set name = 'escaped'
       when not matched then insert (tenant_id, serial_number, name) values ('north', number, 'escaped')`,
  ]),
  statements("a WITH whose part changes rows", escapers, [
    `with changed as (${rename} returning 1) select count(*) from changed`,
  ]),
  {
    what: "COPY FROM STDIN",
    by: escapers,
    run: async ({ client }) => {
      await copyIn(client, `copy app.device (tenant_id, serial_number, name) from stdin`, [
        "north\tSN-8\tescaped",
        "south\tSN-9\tescaped",
      ]);
      return undefined;
    },
  },
  statements("a foreign key's cascade", escapers, [`delete from app."group"`], { setup: cascading }),
  statements("a foreign key's cascade of a changed key", escapers, [`update app."group" set id = gen_random_uuid()`], {
    setup: cascading,
  }),
  statements("UPDATE of the row's id", escapers, [`update app.device set id = gen_random_uuid()`]),
  statements("UPDATE of the row's tenant", escapers, [
    `update app.device set tenant_id = 'south' where serial_number = 'SN-1'`,
  ]),
  statements("UPDATE WHERE CURRENT OF a cursor", escapers, [
    `begin`,
    `declare rows cursor for select * from app.device for update`,
    `fetch rows`,
    `update app.device set name = 'escaped' where current of rows`,
    `commit`,
  ]),
  statements("a DO block that swallows errors", escapers, [
    `do $$ begin ${rename}; exception when others then null; end $$`,
  ]),
  statements("a DO block that commits by itself", escapers, [`do $$ begin ${rename}; commit; end $$`]),
  statements("a savepoint, released", escapers, [`begin`, `savepoint one`, rename, `release one`, `commit`]),
  statements("two changes, the first rolled back to a savepoint", escapers, [
    `begin`,
    `savepoint one`,
    `update app.device set name = 'first'`,
    `rollback to one`,
    rename,
    `commit and chain`,
    `rollback`,
  ]),
  statements("SET CONSTRAINTS ALL IMMEDIATE, then UPDATE", escapers, [
    `begin`,
    `set constraints all immediate`,
    rename,
    `commit`,
  ]),
  statements("SET CONSTRAINTS to and fro", escapers, [
    `begin`,
    rename,
    `set constraints all immediate`,
    `set constraints all deferred`,
    `update app.device set name = 'escaped once more' where serial_number = 'SN-1'`,
    `commit`,
  ]),
  statements("PREPARE TRANSACTION, then COMMIT PREPARED", escapers, [
    `begin`,
    rename,
    `prepare transaction 'escape'`,
    `commit prepared 'escape'`,
  ]),
  statements("SERIALIZABLE", escapers, [`begin isolation level serializable`, rename, `commit`]),
  statements("TRUNCATE of a table without children", escapers, [`truncate app.device`]),
  statements("TRUNCATE CASCADE", escapers, [`truncate app."group" cascade`]),
  statements("a function that runs as the tables' owner", escapers, [`select app.escape()`], {
    setup: [
      `create function app.escape() returns void language sql security definer as $$ ${rename} $$`,
      `do $$ begin execute format('alter function app.escape() owner to %I',
         (select pg_get_userbyid(relowner) from pg_class where oid = 'app.device'::regclass)); end $$`,
      `grant execute on function app.escape() to public`,
    ],
  }),
  statements("a trigger of another table's", escapers, [`insert into public.other values (1)`], {
    setup: [
      `create table public.other (id integer)`,
      `create function public.forward() returns trigger language plpgsql security definer
         as $$ begin ${rename}; return null; end $$`,
      `create trigger forward after insert on public.other for each row execute function public.forward()`,
      `grant insert on public.other to public`,
    ],
  }),
  statements("a view that is written through", escapers, [`update public.devices set name = 'escaped'`], {
    setup: [`create view public.devices as select * from app.device`, `grant all on public.devices to public`],
  }),
];
