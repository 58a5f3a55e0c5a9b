import pg from "pg";
import type { SentStatement } from "./settings.js";

/** Sees every statement that this process sends, only while it records: otherwise nothing stands in their way. */
export class Recorder {
  readonly #client = pg.Client.prototype as unknown as { query: Query };
  readonly #original = this.#client.query;
  #statements: SentStatement[] = [];

  start(): void {
    this.#statements = [];
    const note = (sent: unknown, values: unknown) => this.#statements.push(...statementsOf(sent, values));
    const original = this.#original;
    this.#client.query = function (...rest: unknown[]): unknown {
      note(rest[0], rest[1]);
      return original.apply(this, rest);
    };
  }

  stop(): readonly SentStatement[] {
    this.#client.query = this.#original;
    return this.#statements;
  }
}

type Query = (this: unknown, ...rest: unknown[]) => unknown;

function statementsOf(sent: unknown, values: unknown): SentStatement[] {
  if (typeof sent === "string") return [{ text: sent, values: Array.isArray(values) ? (values as unknown[]) : [] }];
  const { text, texts, values: own } = sent as { text?: unknown; texts?: unknown; values?: unknown };
  // Several in one message are several.
  if (Array.isArray(texts)) return texts.map((each) => ({ text: String(each), values: [] }));
  return [{ text: String(text), values: Array.isArray(own) ? (own as unknown[]) : [] }];
}
