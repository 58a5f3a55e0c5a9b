import type pg from "pg";
import type { SentStatement } from "../api/settings.js";

/** Which indexes the statements of one question were answered from, and which tables were read whole. */
export interface PlansUsed {
  /** By table and columns, such as `entry (tenant_id, id)`. */
  readonly indexes: readonly string[];
  readonly scanned: readonly string[];
}

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Loops": number;
  readonly Plans?: readonly Node[];
}

/**
 * Sends the statements of one question again, as they were, with EXPLAIN before those that read the log.
 *
 * @param client of the reader's login, so that its policies hold
 */
export async function plansOf(
  client: pg.Client,
  statements: readonly SentStatement[],
  indexes: ReadonlyMap<string, string>,
): Promise<PlansUsed> {
  const nodes: Node[] = [];
  for (const { text, values } of statements) {
    if (!/\baudit\.entry/.test(text)) await client.query(text, [...values]);
    else nodes.push(...(await explain(client, text, values)));
  }
  // What stands in a plan and was never reached, such as another month's partition, led nowhere.
  const used = nodes.flatMap((node) => (node["Actual Loops"] > 0 ? [node["Index Name"]] : []));
  const named = used.flatMap((name) => (name === undefined ? [] : [indexes.get(name) ?? name]));
  const scanned = nodes.flatMap((node) => (node["Node Type"] === "Seq Scan" ? [node["Relation Name"] ?? "?"] : []));
  return { indexes: [...new Set(named)], scanned: [...new Set(scanned)] };
}

/** The plan that is good for all values is the one that is used; so it must be prepared here too. */
async function explain(client: pg.Client, text: string, values: readonly unknown[]): Promise<Node[]> {
  await client.query(`prepare explained as ${text}`);
  const given = values.length === 0 ? "" : `(${values.map(literal).join(", ")})`;
  const { rows } = await client.query<{ "QUERY PLAN": readonly [{ Plan: Node }] }>(
    `explain (analyze, timing off, format json) execute explained${given}`,
  );
  await client.query("deallocate explained");
  return rows.flatMap((row) => withinNode(row["QUERY PLAN"][0].Plan));
}

const withinNode = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(withinNode)];

function literal(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return quoted(`{${value.map((each) => `"${escaped(String(each))}"`).join(",")}}`);
  if (typeof value === "string") return quoted(value);
  throw new TypeError("The log's statements have no value of another kind.");
}

const escaped = (text: string): string => text.replace(/["\\]/g, "\\$&");
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The log's indexes by their names, each as its table and columns: every partition has its own. */
export async function indexColumns(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; table: string; definition: string }>(
    `select indexname as name, tablename as table, indexdef as definition from pg_indexes where schemaname = 'audit'`,
  );
  return new Map(
    rows.map(({ name, table, definition }) => {
      const columns = /USING btree (\([^)]*\))/.exec(definition)?.[1] ?? definition;
      return [name, `${table.startsWith("entry_field") ? "entry_field" : "entry"} ${columns}`];
    }),
  );
}
