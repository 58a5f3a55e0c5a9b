import type { Caller } from "./callers.js";
import type { Answer, Client } from "./client.js";
import type { ExpectedEntry } from "./entry.js";
import { DemoFailure } from "./failure.js";

/** One call of a mutation, and the entry that it should leave. */
export interface Attempt {
  readonly caller: Caller;
  /** The mutation's name; its input type is named after it. */
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Made of the id that the answer holds; an empty one where it holds none. */
  readonly expect: (id: string) => ExpectedEntry;
}

/** An entry that the server says it wrote, and what should stand in it. */
export interface Done {
  readonly entryId: string;
  readonly caller: Caller;
  readonly expected: ExpectedEntry;
}

/** Sends mutations one after the other, prints a line for each, and remembers what the log should show. */
export class Desk {
  readonly done: Done[] = [];

  constructor(
    private readonly client: Client,
    private readonly print: (line: string) => void,
  ) {}

  /**
   * Makes the attempt, and checks the answer.
   *
   * @returns the id that the answer holds
   * @throws DemoFailure where it ended otherwise than expected, or not with exactly one entry
   */
  async attempt(title: string, { caller, operation, input, expect }: Attempt): Promise<string> {
    const answer = await this.client.send(caller, mutationOf(operation), { input });
    const id = idOf(answer.data?.[operation]);
    const expected = expect(id);
    requireEnding(title, answer, id, expected.error?.code ?? null);
    const entryId = onlyEntryId(title, operation, answer);
    this.done.push({ entryId, caller, expected });
    this.print(`✓ ${title.padEnd(62)} ${entryId}`);
    return id;
  }
}

function mutationOf(operation: string): string {
  const inputType = `${operation.charAt(0).toUpperCase()}${operation.slice(1)}Input`;
  const id = operation.endsWith("GroupBudget") ? "id: groupId" : "id";
  return `mutation ($input: ${inputType}!) { ${operation}(input: $input) { ${id} } }`;
}

/** The id of what was returned, the first where it is a list; empty where nothing was. */
function idOf(result: unknown): string {
  const first: unknown = Array.isArray(result) ? result[0] : result;
  const id = typeof first === "object" && first !== null && "id" in first ? first.id : null;
  return typeof id === "string" ? id : "";
}

function requireEnding(title: string, { errors }: Answer, id: string, expectedCode: string | null): void {
  const [error] = errors;
  const code = error ? (error.extensions?.code ?? "an error without a code") : null;
  if (code === expectedCode && (code === null) === (id !== "")) return;
  const seen =
    code === null ? (id === "" ? "nothing was returned" : "it succeeded") : `${code} (${error?.message ?? ""})`;
  const hint =
    code === "UNAUTHENTICATED"
      ? " The server doesn't believe the token: run the demo with the server's own DATA_DIR, or give --admin-token and --auditor-token."
      : "";
  throw new DemoFailure(`${title}: expected ${expectedCode ?? "success"}, but ${seen}.${hint}`);
}

function onlyEntryId(title: string, operation: string, { extensions: { audit } }: Answer): string {
  const [report] = audit;
  const [entryId] = report?.entryIds ?? [];
  if (audit.length === 1 && report?.path[0] === operation && report.entryIds.length === 1 && entryId) return entryId;
  throw new DemoFailure(`${title}: extensions.audit should name one entry, but is ${JSON.stringify(audit)}.`);
}
