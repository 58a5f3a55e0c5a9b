import type { Pool } from "pg";
import type { Caller } from "../context.js";
import { decodeCursor, encodeCursor, type CursorBinding } from "../cursor.js";
import { AuditError, badUserInput } from "../errors.js";
import { pageSize, type PageSize } from "../page-size.js";
import { readerScope, type ReaderScope } from "../reader-scope.js";
import { reading, type RunStatement } from "../reading.js";
import { isUuid } from "../uuid.js";
import type { AuditEntry } from "./audit-entry.js";
import type { AuditCount, AuditEntryConnection } from "./audit-entry-connection.js";
import { chooseWay } from "./choose-way.js";
import { bindCursor } from "./cursor.js";
import { selectRow, selectRows, toEntry, type EntryRow } from "./entry-row.js";
import type { AuditOrder } from "./enums.js";
import { checkFilter, type CheckedFilter } from "./filter.js";
import { isIndexed } from "./filter-columns.js";
import { findIds } from "./find-ids.js";
import { idRange, narrowed } from "./id-range.js";
import { LogTenants } from "./log-tenants.js";
import type { PageArguments } from "./page-arguments.js";
import { knowingReporters } from "./reported-numbers.js";
import { selectReporters } from "./reporters.js";
import { PageResources, type OnError, type ResourceDirectory } from "./resource-directory.js";
import { countEntries, type Direction, type EntryKey } from "./statements.js";
import { requireKnown, type Vocabulary } from "./vocabulary.js";

/** Milliseconds that one statement may take: of a page or an entry, and of a count. */
const PAGE_TIMEOUT = 10_000;
const COUNT_TIMEOUT = 2_000;
/** Entries are counted up to here. */
export const COUNT_CAP = 10_000;

export interface AuditLogOptions {
  /**
   * Of the reader's login, on a replica if there is one; its owner closes it. Give it `connectionTimeoutMillis` and
   * `query_timeout`, so that no one waits for a database that doesn't answer.
   */
  readonly pool: Pool;
  readonly directory: ResourceDirectory;
  readonly vocabulary: Vocabulary;
  readonly onError: OnError;
  /** Milliseconds that a statement of a count may take; 2,000 unless said. */
  readonly countTimeout?: number;
}

/** What a page, its count and its cursors have in common. */
interface Request {
  readonly scope: ReaderScope;
  readonly filter: CheckedFilter;
}

interface PageRequest extends Request, PageSize {
  readonly order: AuditOrder;
  readonly binding: CursorBinding;
  readonly after: string | null;
  readonly before: string | null;
}

/**
 * The log as auditors read it. Every method checks by itself what its caller may read, and the database once more.
 *
 * Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, TIMEOUT, UNAVAILABLE.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #tenants = new LogTenants();

  constructor(options: AuditLogOptions) {
    this.#options = options;
    // A pool without a listener ends the process when an idle connection breaks.
    options.pool.on("error", (error) => {
      options.onError("An idle connection of the log's readers broke.", error);
    });
  }

  /** A page of what a filter asks for. It is counted only where `totalCount` is called, and once. */
  async page(caller: Caller, asked: PageArguments): Promise<AuditEntryConnection> {
    const request = pageRequest(caller, asked);
    const { rows, hasMore, reporters } = await reading(this.#options.pool, request.scope, PAGE_TIMEOUT, async (run) => {
      await this.#requireKnown(run, request);
      const found = await this.#findRows(run, request);
      return { ...found, reporters: await selectReporters(run, found.rows) };
    });
    const { directory, onError } = this.#options;
    const resources = new PageResources(directory, onError);
    const edges = rows.map((row) => ({
      cursor: encodeCursor(row.id, request.binding),
      node: toEntry(row, resources, reporters),
    }));
    let count: Promise<AuditCount | null> | undefined;
    return {
      edges,
      nodes: edges.map(({ node }) => node),
      pageInfo: {
        ...neighbours(request, hasMore),
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
      totalCount: () => (count ??= this.#count(request)),
    };
  }

  /**
   * How many entries a filter asks for: exact up to {@link COUNT_CAP}, null where counting takes too long.
   */
  async count(caller: Caller, filter: PageArguments["filter"]): Promise<AuditCount | null> {
    return this.#count(checkedRequest(caller, filter));
  }

  /** One entry; null where none that the caller may read has this id. */
  async entry(caller: Caller, id: string): Promise<AuditEntry | null> {
    const scope = readerScope(caller, null);
    if (!isUuid(id)) throw badUserInput([{ field: "id", message: "isn't the id of an entry, a UUID" }]);
    const { pool, directory, onError } = this.#options;
    return reading(pool, scope, PAGE_TIMEOUT, async (run) => {
      const row = await selectRow(run, id, scope);
      return row && toEntry(row, new PageResources(directory, onError), await selectReporters(run, [row]));
    });
  }

  /**
   * Seconds since the last transaction that the replica has replayed, which on a quiet primary is more than it is
   * behind; null where the reader's database is no replica.
   */
  async lag(): Promise<number | null> {
    const rows = await reading(this.#options.pool, [], PAGE_TIMEOUT, (run) => run<{ lag: number | null }>(selectLag));
    return rows[0]?.lag ?? null;
  }

  async #findRows(run: RunStatement, request: PageRequest): Promise<{ rows: EntryRow[]; hasMore: boolean }> {
    const { scope, filter, order, size, from, after, before } = request;
    const newestFirst = order === "NEWEST_FIRST";
    const [above, below] = newestFirst ? [before, after] : [after, before];
    const range = narrowed(await idRange(run, filter), { above, below });
    const direction: Direction = newestFirst === (from === "start") ? "desc" : "asc";
    const conditions = await knowingReporters(run, filter.conditions);
    const search = { tenants: scope === "*" ? null : scope, conditions, range };
    const found: EntryKey[] = await findIds(run, this.#tenants, search, direction, size + 1);
    const keys = found.slice(0, size);
    if (from === "end") keys.reverse();
    return { rows: await selectRows(run, keys), hasMore: found.length > size };
  }

  async #count(request: Request): Promise<AuditCount | null> {
    const { pool, countTimeout = COUNT_TIMEOUT } = this.#options;
    const { scope, filter } = request;
    try {
      const count = await reading(pool, scope, countTimeout, async (run) => {
        await this.#requireKnown(run, request);
        const range = await idRange(run, filter);
        const conditions = await knowingReporters(run, filter.conditions);
        const everywhere = scope === "*" && !conditions.some(isIndexed);
        const way = everywhere
          ? { tenants: null, lead: null, rest: conditions }
          : await chooseWay(run, await this.#readable(run, scope), conditions, range);
        const [row] = await run<{ count: number }>(countEntries(way, range, COUNT_CAP + 1));
        return row?.count ?? 0;
      });
      return { value: Math.min(count, COUNT_CAP), isCapped: count > COUNT_CAP };
    } catch (error) {
      if (error instanceof AuditError && error.code === "TIMEOUT") return null;
      throw error;
    }
  }

  #requireKnown(run: RunStatement, { scope, filter }: Request): Promise<void> {
    return requireKnown(run, this.#options.vocabulary, filter.conditions, () => this.#readable(run, scope));
  }

  async #readable(run: RunStatement, scope: ReaderScope): Promise<readonly string[]> {
    return scope === "*" ? this.#tenants.list(run) : scope;
  }
}

// A replica that has replayed no transaction since its start is no older than the checkpoint it began from.
const selectLag = {
  text: `select case when pg_is_in_recovery() then extract(epoch from clock_timestamp() - coalesce(
    pg_last_xact_replay_timestamp(), (select checkpoint_time from pg_control_checkpoint())))::float8 end as lag`,
  values: [],
};

function checkedRequest(caller: Caller, filter: PageArguments["filter"]): Request {
  // Who may not read at all isn't told what is wrong with the question.
  readerScope(caller, null);
  const checked = checkFilter(filter ?? null);
  return { filter: checked, scope: readerScope(caller, checked.tenants) };
}

function pageRequest(caller: Caller, asked: PageArguments): PageRequest {
  const request = checkedRequest(caller, asked.filter);
  const order = asked.order ?? "NEWEST_FIRST";
  const binding = bindCursor(request.filter, order, request.scope);
  // Relay's clients send a null for the first page.
  const decode = (argument: "after" | "before") => {
    const cursor = asked[argument] ?? null;
    return cursor === null ? null : decodeCursor(cursor, argument, binding);
  };
  return { ...request, ...pageSize(asked), order, binding, after: decode("after"), before: decode("before") };
}

/** A cursor is the place of an entry, and entries stay: beyond each one that was given there is at least its own. */
function neighbours({ from, after, before }: PageRequest, hasMore: boolean) {
  return from === "start"
    ? { hasNextPage: hasMore || before !== null, hasPreviousPage: after !== null }
    : { hasNextPage: before !== null, hasPreviousPage: hasMore || after !== null };
}
