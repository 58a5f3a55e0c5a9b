import type { AuditContext } from "../context.js";
import { Arg, Ctx, Directive, ID, Int, Query, Resolver } from "../type-graphql.js";
import { AuditEntry } from "./audit-entry.js";
import { AuditEntryConnection } from "./audit-entry-connection.js";
import type { AuditLog } from "./audit-log.js";
import { AuditLogFilter } from "./audit-log-filter.js";
import { AuditOrderEnum, type AuditOrder } from "./enums.js";

export type { AuditLog } from "./audit-log.js";

/** What the log's queries need of the context. */
export interface AuditLogContext extends AuditContext {
  readonly log: AuditLog;
}

/** The queries of the log. Roles are checked by `@requires` before, and by the log itself once more. */
@Resolver()
export class AuditLogResolver {
  @Directive("@requires(roles: [AUDITOR, PLATFORM_AUDITOR])")
  @Query(() => AuditEntryConnection, {
    description:
      "The log, for auditors: newest first unless asked otherwise, 1 to 200 entries a page, 50 where neither first nor last is given.",
  })
  auditLogs(
    @Ctx() { log, caller }: AuditLogContext,
    // The log checks it: class-validator knows nothing of these classes, and refuses what it doesn't know.
    @Arg("filter", () => AuditLogFilter, { nullable: true, validate: false })
    filter: AuditLogFilter | null | undefined,
    @Arg("first", () => Int, { nullable: true }) first: number | null | undefined,
    @Arg("after", () => String, { nullable: true }) after: string | null | undefined,
    @Arg("last", () => Int, { nullable: true }) last: number | null | undefined,
    @Arg("before", () => String, { nullable: true }) before: string | null | undefined,
    @Arg("order", () => AuditOrderEnum, { defaultValue: AuditOrderEnum.NEWEST_FIRST }) order: AuditOrder,
  ): Promise<AuditEntryConnection> {
    return log.page(caller, { filter, first, after, last, before, order });
  }

  @Directive("@requires(roles: [AUDITOR, PLATFORM_AUDITOR])")
  @Query(() => AuditEntry, { nullable: true })
  auditEntry(@Ctx() { log, caller }: AuditLogContext, @Arg("id", () => ID) id: string): Promise<AuditEntry | null> {
    return log.entry(caller, id);
  }
}
