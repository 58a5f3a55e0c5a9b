import { query, type TestDatabase } from "./postgres.js";

const eachTrigger = (what: string): string =>
  ["audit_refuse_ddl", "audit_refuse_drop"].map((name) => `alter event trigger ${name} ${what}`).join("; ");

/** Runs SQL as a superuser who has first put the log's event triggers aside, as only a superuser may. */
export async function unguarded({ adminUrl }: TestDatabase, sql: string): Promise<void> {
  await query(adminUrl, `${eachTrigger("disable")}; ${sql}; ${eachTrigger("enable always")}`);
}
