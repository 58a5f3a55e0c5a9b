import type { ClientBase } from "pg";
import type { StatedEntry } from "./entry.js";
import { allColumns, type Value } from "./insert-entries.js";
import { storedValues } from "./stored.js";

/** The types of those columns that aren't text: an array of texts has to be told what it holds. */
const sqlTypes: Readonly<Record<string, string>> = {
  format_version: "smallint",
  changes: "jsonb",
  attempted: "jsonb",
  access: "jsonb",
  request_id: "uuid",
  session_id: "uuid",
  cause_id: "uuid",
  correlation_session_id: "uuid",
  sequence_number: "bigint",
  correlation_sequence_number: "bigint",
  ordinal: "integer",
  repeat_count: "integer",
  repeated_sequence_numbers: "int8multirange",
  repeat_count_is_least: "boolean",
  ip: "inet",
  claimed_at: "timestamptz",
};

/**
 * Writes many entries that have much in common, in the client's transaction with one INSERT: what all of them share is
 * sent once, the rest as arrays.
 *
 * @throws Error where the log took fewer than it was given
 */
export async function insertMany(client: ClientBase, entries: readonly StatedEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { rowCount } = await client.query(manyStatement(entries));
  if (rowCount !== entries.length)
    throw new Error(`The log took ${String(rowCount)} of ${String(entries.length)} entries.`);
}

function manyStatement(entries: readonly StatedEntry[]): { text: string; values: (string | Buffer)[] } {
  const stored = entries.map(storedValues);
  const statement = new ManyStatement();
  for (const [name, valueOf] of allColumns) {
    const values = entries.map((entry, place) => valueOf(entry, stored[place] ?? nothing));
    if (name === "salts") statement.addOctets(name, values);
    else statement.add(name, values);
  }
  return statement.finished();
}

const nothing = { changes: "", attempted: "", access: null, salts: Buffer.alloc(0) };

/** Columns, what each is selected as, and the arrays that vary by row. */
class ManyStatement {
  readonly #values: (string | Buffer)[] = [];
  readonly #columns: string[] = [];
  readonly #selected: string[] = [];
  readonly #arrays: string[] = [];
  readonly #names: string[] = [];

  add(name: string, values: readonly Value[]): void {
    const [first = null] = values;
    const type = sqlTypes[name] ?? "text";
    const isCommon = values.every((value) => value === first);
    if (isCommon && first === null) return;
    this.#columns.push(name);
    if (isCommon && first !== null) this.#selected.push(`${this.#parameter(first)}::${type}`);
    else this.#addArray(name, type, values);
  }

  /** As one value and where each row's part of it stands: an array of octets would have to be spelt out. */
  addOctets(name: string, values: readonly Value[]): void {
    const parts = values.filter((value) => Buffer.isBuffer(value));
    let next = 1;
    const starts = parts.map((part) => {
      const start = next;
      next += part.length;
      return String(start);
    });
    const whole = this.#parameter(Buffer.concat(parts));
    this.#columns.push(name);
    this.#selected.push(`substr(${whole}::bytea, many.${name}_from, many.${name}_length)`);
    this.#unnest(`${name}_from`, "integer", starts);
    this.#unnest(
      `${name}_length`,
      "integer",
      parts.map(({ length }) => String(length)),
    );
  }

  finished(): { text: string; values: (string | Buffer)[] } {
    const text = `
      insert into audit.entry (${this.#columns.join(", ")})
      select ${this.#selected.join(", ")}
      from unnest(${this.#arrays.join(", ")}) as many (${this.#names.join(", ")})`;
    return { text, values: this.#values };
  }

  #addArray(name: string, type: string, values: readonly Value[]): void {
    this.#selected.push(`many.${name}`);
    this.#unnest(name, type, values);
  }

  #unnest(name: string, type: string, values: readonly Value[]): void {
    this.#arrays.push(`${this.#parameter(`{${values.map(element).join(",")}}`)}::${type}[]`);
    this.#names.push(name);
  }

  #parameter(value: string | Buffer): string {
    return `$${String(this.#values.push(value))}`;
  }
}

/** One element of an array as PostgreSQL reads it. */
function element(value: Value): string {
  if (value === null) return "NULL";
  const text = String(value);
  return plain.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** What stands there without quotes; null would be none. */
const plain = /^(?!null$)[\w.:-]+$/i;
