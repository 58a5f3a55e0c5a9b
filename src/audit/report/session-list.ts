import type { Pool } from "pg";
import type { Caller } from "../context.js";
import { bindingOf, decodeCursor, encodeCursor } from "../cursor.js";
import { pageSize } from "../page-size.js";
import { readerScope } from "../reader-scope.js";
import { reading } from "../reading.js";
import { checkSessionFilter, type AuditSessionFilter } from "./session-filter.js";
import { placeOf, selectSessions } from "./session-rows.js";
import type { AuditSessionConnection } from "./session-types.js";

const TIMEOUT = 10_000;

/** The arguments of `auditSessions`, as they were given. */
export interface SessionPageArguments {
  readonly filter?: AuditSessionFilter | null | undefined;
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
}

/**
 * The sessions as auditors read them, newest first: an auditor its own tenant's, a platform auditor all.
 *
 * Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, TIMEOUT, UNAVAILABLE.
 */
export class SessionList {
  /** @param pool of the reader's login, on a replica if there is one; its owner closes it */
  constructor(private readonly pool: Pool) {}

  /** A page of the sessions that a filter asks for. */
  async page(caller: Caller, { filter, first, after }: SessionPageArguments): Promise<AuditSessionConnection> {
    // Who may not read at all isn't told what is wrong with the question.
    readerScope(caller, null);
    const checked = checkSessionFilter(filter ?? null);
    const scope = readerScope(caller, checked.tenantId);
    const { size } = pageSize({ first });
    const binding = bindingOf("S", [checked, scope]);
    const from = (after ?? null) === null ? null : decodeCursor(after ?? "", "after", binding);
    const found = await reading(this.pool, scope, TIMEOUT, async (run) => {
      const place = from === null ? null : await placeOf(run, from);
      if (from !== null && place === null) return [];
      return selectSessions(run, scope, checked, place, size + 1);
    });
    const edges = found.slice(0, size).map((node) => ({ cursor: encodeCursor(node.id, binding), node }));
    return {
      edges,
      nodes: edges.map(({ node }) => node),
      pageInfo: {
        hasNextPage: found.length > size,
        hasPreviousPage: from !== null,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
    };
  }
}
