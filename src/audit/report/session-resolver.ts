import type { AuditContext } from "../context.js";
import { Arg, Ctx, Directive, Int, Query, Resolver } from "../type-graphql.js";
import { AuditSessionFilter } from "./session-filter.js";
import type { SessionList } from "./session-list.js";
import { AuditSessionConnection } from "./session-types.js";

export type { SessionList } from "./session-list.js";

/** What the query of the sessions needs of the context. */
export interface SessionListContext extends AuditContext {
  readonly sessionList: SessionList;
}

/** The query of the sessions. Roles are checked by `@requires` before, and by the list itself once more. */
@Resolver()
export class AuditSessionResolver {
  @Directive("@requires(roles: [AUDITOR, PLATFORM_AUDITOR])")
  @Query(() => AuditSessionConnection, {
    description:
      "The sessions whose numbers the log's entries bear, for auditors: newest first, 1 to 200 a page, 50 unless asked otherwise.",
  })
  auditSessions(
    @Ctx() { sessionList, caller }: SessionListContext,
    // The list checks it: class-validator knows nothing of these classes, and refuses what it doesn't know.
    @Arg("filter", () => AuditSessionFilter, { nullable: true, validate: false })
    filter: AuditSessionFilter | null | undefined,
    @Arg("first", () => Int, { nullable: true }) first: number | null | undefined,
    @Arg("after", () => String, { nullable: true }) after: string | null | undefined,
  ): Promise<AuditSessionConnection> {
    return sessionList.page(caller, { filter, first, after });
  }
}
