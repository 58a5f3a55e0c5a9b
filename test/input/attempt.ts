import { once } from "node:events";
import { connect } from "node:net";
import { text as readAll } from "node:stream/consumers";
import { readFileSync } from "node:fs";
import { buildSchema, getNamedType, isInputObjectType, isNonNullType, type GraphQLInputObjectType } from "graphql";
import { afterAll, expect } from "vitest";
import { errorCodes } from "../../src/audit/errors.js";
import { useClient, type Client } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";
import type { ServerOptions, TestServer } from "../support/server.js";

/** What a request is answered, whatever it was. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly requestId: string;
  readonly data: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors: readonly ReplyError[];
}

export interface ReplyError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly fields?: readonly { field: string; message: string }[] };
}

/** A mutation that takes one input object, as the schema has it. */
export interface InputMutation {
  readonly name: string;
  readonly audited: boolean;
  readonly inputType: string;
  readonly fields: readonly InputField[];
}

export interface InputField {
  readonly name: string;
  readonly nullable: boolean;
}

/** Of what the HTTP layer and Apollo refuse before any field is reached. */
const refusals = [
  "BAD_REQUEST",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "OPERATION_RESOLUTION_FAILURE",
  "PERSISTED_QUERY_NOT_SUPPORTED",
];
const foreseen: ReadonlySet<string> = new Set(
  [...Object.keys(errorCodes), ...refusals].filter((code) => code !== "INTERNAL"),
);

/** As `useClient`; at the end of the file nothing unforeseen may have happened, and the server must still serve. */
export function useWatchedClient(options: Omit<ServerOptions, "database"> = {}): Client {
  const client = useClient(options);
  afterAll(async () => {
    expect(await internalErrors(client.server)).toBe(0);
    expect((await client.server.fetch("/healthz")).status).toBe(200);
  });
  return client;
}

export async function internalErrors(server: TestServer): Promise<number> {
  const metrics = await (await server.fetch("/metrics")).text();
  return Number(/^internal_errors_total (\d+)$/m.exec(metrics)?.[1]);
}

/** Posts a body as it is. */
export async function post(
  server: TestServer,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  return replyTo(server, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
}

export async function replyTo(server: TestServer, init: RequestInit, path = "/graphql"): Promise<Reply> {
  const response = await server.fetch(path, init);
  return replyOf(response.status, response.headers.get("x-request-id") ?? "", await response.text());
}

export function replyOf(status: number, requestId: string, text: string): Reply {
  const body = JSON.parse(text) as Pick<Reply, "data"> & { readonly errors?: readonly ReplyError[] };
  return { status, text, requestId, data: body.data, errors: body.errors ?? [] };
}

/** Writes bytes that no HTTP client would, and reads until the server closes. */
export async function sendBytes(server: TestServer, bytes: string | Buffer): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(server.origin);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(10_000, () => socket.destroy(new Error("The server didn't close the connection.")));
  await once(socket, "connect");
  socket.write(bytes);
  const text = await readAll(socket);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]), text };
}

/** Every answer is one of these: typed, below 500, and a wrong field always named. */
export function expectTyped(reply: Reply): void {
  const shown = reply.text.slice(0, 500);
  expect(reply.status, shown).toBeLessThan(500);
  if (reply.status >= 400) expect(reply.errors, shown).not.toEqual([]);
  for (const { extensions, message } of reply.errors) {
    expect([...foreseen], shown).toContain(extensions.code);
    expect(message, shown).not.toBe("");
    if (extensions.code !== "BAD_USER_INPUT") continue;
    expect(extensions.fields, shown).toBeDefined();
    expect(extensions.fields, shown).not.toEqual([]);
  }
}

/** The generated schema, as it is committed. */
export const schema = buildSchema(readFileSync("schema.graphql", "utf8"));

/** Every mutation of the schema, with what it takes. */
export const inputMutations: readonly InputMutation[] = Object.values(schema.getMutationType()?.getFields() ?? {}).map(
  ({ name, args, astNode }) => {
    const type = getNamedType(args[0]?.type);
    if (args.length !== 1 || !isInputObjectType(type)) throw new Error(`${name} takes no single input: mind it here.`);
    const audited = astNode?.directives?.some((directive) => directive.name.value === "audited") ?? false;
    return { name, audited, inputType: type.name, fields: fieldsOf(type) };
  },
);

function fieldsOf(type: GraphQLInputObjectType): InputField[] {
  return Object.values(type.getFields()).map((field) => ({ name: field.name, nullable: !isNonNullType(field.type) }));
}

/** What the mutation's own entity has besides an id, so that an answer shows what stands. */
const selections: Readonly<Record<string, string>> = {
  device: "id serialNumber name status firmwareVersion lastSeenAt",
  chat: "id title archived pinOrder labels mode planMode mcpServerIds workspaceId",
  group: "id name",
  budget: "groupId spendLimitMicros",
};

export function selectionOf(mutation: string): string {
  const kind = /budget/i.test(mutation) ? "budget" : (/device|chat|group/i.exec(mutation)?.[0] ?? "").toLowerCase();
  return selections[kind] ?? "__typename";
}

/** The mutation with its whole input as JSON text, so that it may hold what no object of JavaScript does. */
export function bodyOf({ name, inputType }: InputMutation, input: string): string {
  const query = `mutation ($input: ${inputType}!) { it: ${name}(input: $input) { ${selectionOf(name)} } }`;
  return `{"query":${JSON.stringify(query)},"variables":{"input":${input}}}`;
}

/** What one request was answered and left in the log. */
export interface Attempt {
  readonly reply: Reply;
  readonly entries: readonly ReadEntry[];
}

/** Sends one mutation, and reads what it left in the log. */
export async function attempt(client: Client, mutation: InputMutation, input: string): Promise<Attempt> {
  const reply = await send(client, mutation, input);
  const [attempted] = await withEntries(client, mutation, [reply]);
  if (!attempted) throw new Error("There was no attempt.");
  return attempted;
}

export async function send(client: Client, mutation: InputMutation, input: string): Promise<Reply> {
  const reply = await post(client.server, bodyOf(mutation, input), { authorization: `Bearer ${client.token}` });
  expectTyped(reply);
  return reply;
}

/** Reads what up to a hundred requests left. One that was refused before its mutation was reached has no entry. */
export async function withEntries(
  client: Client,
  { audited }: InputMutation,
  replies: readonly Reply[],
): Promise<Attempt[]> {
  const all = await readLog(client.server, { requestId: replies.map(({ requestId }) => requestId) });
  return replies.map((reply) => {
    const entries = all.filter(({ requestId }) => requestId === reply.requestId);
    const shown = reply.text.slice(0, 500);
    expect(entries.length > 0, shown).toBe(audited && reply.data !== undefined);
    for (const { outcome, error } of entries) {
      expect(outcome === "SUCCESS", shown).toBe(reply.errors.length === 0);
      if (entries.length === 1) expect(error?.code, shown).toBe(reply.errors[0]?.extensions.code);
    }
    return { reply, entries };
  });
}

export function mutationNamed(name: string): InputMutation {
  const found = inputMutations.find((mutation) => mutation.name === name);
  if (!found) throw new Error(`The schema has no mutation ${name}.`);
  return found;
}

/** A JSON text with every object's keys in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
