import type { Socket } from "node:net";
import type pg from "pg";
import { connectionConfig, openClient } from "../../src/database/connection.js";
import { ApiProcess } from "../api/api-process.js";
import type { BenchCluster } from "../cluster.js";
import { exchange, graphqlRequest, open } from "../load.js";
import type { Filter, ReadCase, ReaderName } from "./cases.js";
import { indexColumns, plansOf, type PlansUsed } from "./plans.js";
import { seedLog } from "./seed-log.js";

export type Tokens = Readonly<Record<ReaderName, string>>;

interface Page {
  readonly nodes: readonly { readonly id: string; readonly tenantId: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  readonly totalCount?: { readonly value: number } | null;
}

const PAGE = 50;
const MAX_PAGE = 200;
const DEEP_PAGE = 1_000;
const MAX_IDLE = 5_000;

const query = (more: string) => `query Log($filter: AuditLogFilter, $first: Int, $after: String) {
  auditLogs(filter: $filter, first: $first, after: $after) {
    nodes {
      id occurredAt tenantId actor { type id name } action eventType outcome resource { type id label }
      changes { field op old new secret } description
    }
    pageInfo { hasNextPage endCursor } ${more}
  }
}`;
const pageQuery = query("");
const countQuery = query("totalCount { value isCapped }");

/** A log of some size, the server that reads it, and a connection of the reader's login beside. */
export class LogServer {
  #socket: Socket | null = null;
  #lastUse = 0;

  private constructor(
    readonly entries: number,
    private readonly api: ApiProcess,
    private readonly reader: pg.Client,
    private readonly indexes: ReadonlyMap<string, string>,
    private readonly columns: string,
    private readonly tokens: Tokens,
  ) {}

  static async start(cluster: BenchCluster, entries: number, tokens: Tokens): Promise<LogServer> {
    const database = await cluster.database(`log_${String(entries)}`);
    await seedLog(database, entries);
    const api = await ApiProcess.start({ arm: "audited", ...database, dataDir: cluster.folder });
    const reader = await openClient(connectionConfig(database.readerUrl, "auditql bench"));
    const { rows } = await reader.query<{ name: string }>(
      `select quote_ident(attname) as name from pg_attribute where attrelid = 'audit.entry'::regclass and attnum > 0
         and not attisdropped and has_column_privilege('audit.entry', attnum, 'select') order by attnum`,
    );
    const columns = rows.map(({ name }) => name).join(", ");
    return new LogServer(entries, api, reader, await indexColumns(reader), columns, tokens);
  }

  /** Bytes of the question, ready to be sent; a deep page's hold its cursor. */
  async prepare(asked: ReadCase, counted: boolean): Promise<Buffer> {
    const after = asked.deep ? await this.#deepCursor(asked) : null;
    return this.#request(asked.reader, asked.filter(this.entries), { counted, after, first: PAGE });
  }

  /** Milliseconds that the answer took. */
  async time(bytes: Buffer): Promise<number> {
    const socket = await this.#connection();
    const sent = performance.now();
    const body = await exchange(socket, bytes);
    const taken = performance.now() - sent;
    if (body.includes('"errors"')) throw new Error(`The server answered with an error: ${body.slice(0, 500)}`);
    return taken;
  }

  async page(bytes: Buffer): Promise<Page> {
    const body = await exchange(await this.#connection(), bytes);
    const { data } = JSON.parse(body) as { data?: { auditLogs?: Page } | null };
    if (!data?.auditLogs) throw new Error(`The server answered with an error: ${body.slice(0, 500)}`);
    return data.auditLogs;
  }

  async plans(bytes: Buffer): Promise<PlansUsed> {
    const statements = await this.api.statementsOf(() => this.page(bytes));
    return plansOf(this.reader, statements, this.indexes);
  }

  /** Milliseconds that plain pg takes for the rows of a page whose keys are known. */
  async timePlain(reader: ReaderName, rows: Page["nodes"]): Promise<number> {
    const tenants = [...new Set(rows.map(({ tenantId }) => tenantId))];
    await this.reader.query("select set_config('audit.tenants', $1, false)", [
      reader === "platform" ? "*" : tenants.join(),
    ]);
    const values = [tenants, rows.map(({ id }) => id)];
    const sent = performance.now();
    await this.reader.query({
      name: "plain",
      text: `select ${this.columns} from audit.entry where tenant_id = any ($1) and id = any ($2)`,
      values,
    });
    return performance.now() - sent;
  }

  async stop(): Promise<void> {
    this.#socket?.destroy();
    await this.reader.end();
    await this.api.stop();
  }

  /** The server closes connections that were idle for long. */
  async #connection(): Promise<Socket> {
    if (performance.now() - this.#lastUse > MAX_IDLE) {
      this.#socket?.destroy();
      this.#socket = null;
    }
    this.#lastUse = performance.now();
    return (this.#socket ??= await open(this.api.port));
  }

  #request(
    reader: ReaderName,
    filter: Filter,
    { counted, after, first }: { counted: boolean; after: string | null; first: number },
  ): Buffer {
    return graphqlRequest(this.tokens[reader], counted ? countQuery : pageQuery, { filter, first, after });
  }

  async #deepCursor({ reader, filter }: ReadCase): Promise<string | null> {
    let [cursor, last]: [string | null, string | null] = [null, null];
    for (let pages = DEEP_PAGE - 1; pages > 0; pages -= MAX_PAGE / PAGE) {
      const first = Math.min(pages * PAGE, MAX_PAGE);
      const after: string | null = cursor;
      const { nodes, pageInfo } = await this.page(
        this.#request(reader, filter(this.entries), { counted: false, after, first }),
      );
      if (!pageInfo.hasNextPage) return nodes.length < PAGE ? last : cursor;
      [cursor, last] = [pageInfo.endCursor, cursor];
    }
    return cursor;
  }
}
