import { createHash, randomBytes } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { internalErrors, replyTo, sendBytes } from "./attempt.js";

/**
 * Where something that was sent may stand: a table by its name, `response` for the answer to whoever sent it. The log of
 * the server, metrics and readiness may hold nothing of it, ever.
 */
type Place = "response" | "audit.entry" | "app.device" | "app.chat" | "app.group";

interface Canary {
  readonly text: string;
  /** What it stood for. */
  readonly what: string;
  readonly places: readonly Place[];
}

const client = useClient({ env: { LOG_LEVEL: "trace" } });
const canaries: Canary[] = [];
const responses: string[] = [];

/** A text that is nowhere else, and the places where it may be found once all is done. */
function canary(what: string, ...places: readonly Place[]): string {
  const text = `cnry${randomBytes(8).toString("hex")}`;
  canaries.push({ text, what, places });
  return text;
}

async function send(
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await sendBody(JSON.stringify({ query, variables, ...more }), headers);
}

async function sendBody(body: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  const usual = { "content-type": "application/json", authorization: `Bearer ${client.token}` };
  const { text } = await replyTo(client.server, { method: "POST", headers: { ...usual, ...headers }, body });
  responses.push(text);
}

const inputOf = (mutation: string) => `${mutation[0]?.toUpperCase() ?? ""}${mutation.slice(1)}Input`;
const call = (mutation: string, input: unknown, headers: Readonly<Record<string, string>> = {}) =>
  send(`mutation ($input: ${inputOf(mutation)}!) { ${mutation}(input: $input) { __typename } }`, { input }, headers);

let device: string;
let chat: string;

beforeAll(async () => {
  device = await client.make(`createDevice(input: { serialNumber: "standing", name: "device" })`);
  chat = await client.make(`createChat(input: { title: "chat" })`);
  await secrets();
  await trackedValues();
  await wrongValues();
  await documents();
  await headersAndTokens();
  await paths();
  await databaseErrors();
});

/** A secret field stands in its own column alone, and there only while it is what the device has. */
async function secrets(): Promise<void> {
  const secret = (what: string, ...places: readonly Place[]) => canary(`a secret ${what}`, ...places);
  await call("createDevice", { serialNumber: "s-1", name: "x", provisioningSecret: secret("created", "app.device") });
  await call("createDevice", {
    serialNumber: "s-1",
    name: "x",
    provisioningSecret: secret("of a taken serial number"),
  });
  await call("createDevice", { serialNumber: "s-2", name: "", provisioningSecret: secret("beside an invalid field") });
  await call("updateDevice", { id: device, provisioningSecret: secret("replaced") });
  await call("updateDevice", { id: device, provisioningSecret: secret("set", "app.device") });
  await call("updateDevice", { id: "7", provisioningSecret: secret("beside an invalid id") });
  await call("updateDevice", { id: device, provisioningSecret: `${secret("too long")}${"x".repeat(100_000)}` });
  await call("updateDevice", { id: device, provisioningSecret: `${secret("with NUL")}\0` });
  await call("updateDevice", { id: device, provisioningSecret: `${secret("with a lone surrogate")}\ud800` });
  await call("updateDevice", { id: device, provisioningSecret: [secret("in a list")] });
  await call("updateDevice", { id: device, provisioningSecret: { value: secret("in an object") } });
  await call("updateDevice", { id: device, provisioningSecret: { [secret("as a key")]: 1 } });
  await call("updateDevice", { id: secret("in place of an id", "audit.entry"), name: "x" });
  await call(
    "updateDevice",
    { id: device, provisioningSecret: secret("of nobody's call") },
    { authorization: "Bearer x" },
  );
  const member = await client.server.token({ subject: "m", tenant: "acme", roles: ["member"] });
  const refused = { id: device, provisioningSecret: secret("of a refused call") };
  await call("updateDevice", refused, { authorization: `Bearer ${member}` });
  const foreign = await client.server.token({ subject: "f", tenant: "globex", roles: ["admin"] });
  const missing = { id: device, provisioningSecret: secret("of a device that isn't there") };
  await call("updateDevice", missing, { authorization: `Bearer ${foreign}` });
  const literal = (value: string) =>
    send(`mutation { updateDevice(input: { id: "${device}", provisioningSecret: ${value} }) { id } }`);
  await literal(secret("as an enum's value"));
  await literal(`["${secret("in a literal list")}"]`);
  await literal(`{ a: "${secret("in a literal object")}" }`);
  await literal(`"${secret("unterminated")}`);
  await literal(`"${secret("with a wrong escape")}\\q"`);
  await literal(`"""${secret("in a block")}""" 7`);
  await send(`query { device(id: "${device}") { provisioningSecret } }`);
  await call("deleteDevice", { id: device, provisioningSecret: secret("where none is asked") });
}

/** What the log is for stands in it, with what was asked in vain; no log of the server's needs it. */
async function trackedValues(): Promise<void> {
  const kept = (what: string, ...places: readonly Place[]) =>
    canary(`a tracked value ${what}`, "audit.entry", ...places);
  const title = kept("changed", "app.chat", "response");
  await send(`mutation ($title: String) { updateChat(input: { id: "${chat}", title: $title }) { title } }`, { title });
  await call("updateChat", { id: chat, labels: { a: kept("in labels", "app.chat") } });
  await call("updateChat", {
    id: chat,
    title: "",
    labels: { [kept("as a label's key, in vain")]: kept("in labels in vain") },
  });
  await call("updateChat", { id: chat, labels: { a: kept("in labels of nobody's call") } }, { authorization: "" });
  await call("createGroup", { name: `${kept("that can't be stored")}\0` });
  await call("createGroup", { name: `${canary("the start of a name too long")}${"x".repeat(100_000)}` });
}

/** What graphql-js refuses is nowhere: it may be a secret in the wrong place. */
async function wrongValues(): Promise<void> {
  const wrong = (what: string) => canary(`a value ${what}`);
  await call("updateChat", { id: chat, pinOrder: wrong("for an Int") });
  await call("updateChat", { id: chat, archived: wrong("for a Boolean") });
  await call("updateChat", { id: chat, mode: wrong("for an enum") });
  await call("updateChat", { id: chat, title: { a: wrong("in an object for a String") } });
  await call("updateChat", { id: chat, title: [wrong("in a list for a String")] });
  await call("updateChat", { id: chat, labels: [wrong("in a list for an object")] });
  await call("updateChat", { id: chat, labels: wrong("for an object") });
  await call("updateChat", { id: chat, labels: { a: wrong("beside a number too large"), b: 1e300 } });
  await call("updateChat", { id: { a: wrong("in an object for an ID") }, title: "x" });
  await call("archiveChats", { ids: [{ a: wrong("in an object in a list") }] });
  await call("deviceHeartbeat", { id: device, at: wrong("for a DateTime") });
  await call("upsertGroupBudget", { groupId: device, spendLimitMicros: wrong("for a BigInt") });
  await call("createGroup", { name: "x", unknown: wrong("of an unknown field") });
  await call("createGroup", { name: "x", [canary("an unknown field's name", "response")]: 1 });
  await call("createGroup", [wrong("in a list for an input")]);
  await call("createGroup", wrong("for an input"));
  await send("{ __typename }", { unused: wrong("of a variable that no one asked for") });
  await send("query ($first: Int!) { groups(first: $first) { nodes { id } } }", { first: wrong("for a variable") });
  await send(`{ groups(first: "${wrong("for an argument")}") { nodes { id } } }`);
  await send(`{ groups(first: ${wrong("of an enum for an argument")}) { nodes { id } } }`);
  await send(`{ groups(after: "${wrong("of a cursor")}") { nodes { id } } }`);
  await send(`{ group(id: "${wrong("of a query's id")}") { id } }`);
  await send(`mutation { createChat(input: { title: "x", labels: { a: ${wrong("of an enum in JSON")} } }) { id } }`);
  await send(
    `mutation { createChat(input: { title: "x", labels: { a: "${wrong("in JSON too large")}", b: 1e999 } }) { id } }`,
  );
  await send(`mutation { updateDevice(input: { id: "${device}", status: ${wrong("of an unknown enum")} }) { id } }`);
}

/** What a document says besides values is its own to be told of, and no one else's. */
async function documents(): Promise<void> {
  const name = (what: string) => canary(what, "response");
  await send(`{ ${name("an unknown field")} }`);
  await send(`{ ${name("an alias")}: __typename }`);
  await send(`query ($${name("a variable")}: Nothing) { __typename }`);
  await send("query A { __typename } query B { __typename }", {}, {}, { operationName: name("an operation") });
  await send(`{ __typename } # ${canary("a comment")}`);
  await send(`{ __typename ${canary("a word where none may be")} "`);
  await send(`"${canary("a text where none may be")}" { __typename }`);
  await send(
    "{ __typename }",
    {},
    {},
    { extensions: { note: canary("an extension") }, other: canary("a member of the body") },
  );
  await send(
    "{ __typename }",
    {},
    {},
    { extensions: { persistedQuery: { version: 1, sha256Hash: canary("a hash") } } },
  );
  await sendBody(`{"query": "${canary("a body that isn't JSON")}`);
  await sendBody(JSON.stringify(canary("a body that is a text")));
  await sendBody(`query=${canary("a form")}`, { "content-type": "application/x-www-form-urlencoded" });
  const auditor = {
    authorization: `Bearer ${await client.server.token({ subject: "a", tenant: "acme", roles: ["auditor"] })}`,
  };
  // The log says what was asked of it.
  const asked = (what: string, ...places: readonly Place[]) => canary(what, "audit.entry", ...places);
  const ask = (filter: string) => send(`{ auditLogs(${filter}) { nodes { id } } }`, {}, auditor);
  await ask(`filter: { requestId: ["${asked("a filter's value of the wrong form", "response")}"] }`);
  await ask(`filter: { eventType: ["${asked("a filter's value that names nothing", "response")}"] }`);
  await ask(`filter: { resourceLabel: ["${asked("a filter's value that finds nothing")}"] }`);
  await ask(`after: "${canary("a cursor of the log")}"`);
}

async function headersAndTokens(): Promise<void> {
  const create = { name: "x" };
  const secretHeaders = [
    "cookie",
    "x-api-key",
    "proxy-authorization",
    "x-auth-token",
    "referer",
    "origin",
    "x-forwarded-user",
  ];
  for (const header of [...secretHeaders, "x-forwarded-for", "traceparent", "tracestate", "baggage", "if-none-match"])
    await call("createGroup", create, { [header]: canary(`the header ${header}`) });
  for (const scheme of ["Bearer", "Basic", "Digest", "token"])
    await call("createGroup", create, { authorization: `${scheme} ${canary(`a credential by ${scheme}`)}` });
  for (const header of ["x-audit-reason", "x-request-id", "user-agent"])
    await call("createGroup", create, { [header]: canary(`the header ${header}`, "audit.entry") });
  await call("createGroup", create, { "content-type": `application/json; charset=${canary("a charset")}` });
  await call("createGroup", create, { "content-encoding": canary("an encoding") });
  const claims = (more: Readonly<Record<string, unknown>>) =>
    client.server.token({ subject: "t", tenant: "acme", roles: ["admin"], ...more });
  const tokens = [
    await claims({ email: canary("a claim that no one reads"), roles: ["admin", canary("a role that isn't ours")] }),
    await claims({ name: canary("an actor's name", "audit.entry"), jti: canary("a token's id", "audit.entry") }),
    await claims({ exp: 1, name: canary("a name in an expired token"), jti: canary("the id of an expired token") }),
    await claims({ tenant: `$${canary("a tenant that can't be")}` }),
    await claims({ iss: canary("another issuer"), aud: canary("another audience") }),
    await claims({ sub: `${canary("a subject that can't be stored")}\0` }),
    await claims({ act: { sub: "robot", name: 7, note: canary("a note on who acts") } }),
  ];
  for (const token of [...tokens, client.token]) {
    await call("createGroup", create, { authorization: `Bearer ${token}` });
    for (const part of token.split(".")) canaries.push({ text: part, what: "a part of a token", places: [] });
  }
}

async function paths(): Promise<void> {
  const get = async (path: string) => responses.push(await (await client.server.fetch(path)).text());
  await get(`/${canary("a path")}`);
  await get(`/readyz?token=${canary("a query of readiness")}`);
  await get(`/graphql?query={__typename}&access_token=${canary("a parameter")}`);
  await get(`/graphql?query=${canary("a query by GET")}`);
  responses.push((await sendBytes(client.server, `${canary("no HTTP at all")}\r\n\r\n`)).text);
  responses.push((await sendBytes(client.server, `GET /${canary("a broken header")} HTTP/1.1\r\na b: c\r\n\r\n`)).text);
}

/** PostgreSQL's own words quote values: whatever it says, they go no further. */
async function databaseErrors(): Promise<void> {
  const raise = async (condition: string, quoted: string) => {
    await client.sql(`create or replace function public.quote() returns trigger language plpgsql as $$ begin
      raise exception 'no: % (${quoted})', new.provisioning_secret using errcode = '${condition}', detail = new.provisioning_secret,
        hint = new.provisioning_secret; end $$`);
    await client.sql("create trigger quote before update on app.device for each row execute function public.quote()");
    await call("updateDevice", { id: device, provisioningSecret: canary(`a secret in an error ${condition}`) });
    await client.sql("drop trigger quote on app.device");
  };
  device = await client.make(`createDevice(input: { serialNumber: "errors", name: "device" })`);
  for (const condition of ["P0001", "22000", "23514", "23505", "XX000", "42501", "54000", "57014"])
    await raise(condition, canary(`a word of the database's in ${condition}`));
}

/** The text of every row of every table that isn't PostgreSQL's own, as its superuser sees it. */
async function everyTable(): Promise<Map<string, string>> {
  const tables = await client.sql<{ name: string }>(
    `select format('%I.%I', nspname, relname) as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where relkind in ('r', 'm') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
     union select 'pg_stat_activity'`,
  );
  const dumped = new Map<string, string>();
  for (const { name } of tables) {
    const [row] = await client.sql<{ all: string | null }>(
      `select string_agg(it::text, chr(10)) as all from ${name} it`,
    );
    // A partition holds what its parent does.
    const known = /^audit\.entry(?!_field)/.test(name) ? "audit.entry" : name.replaceAll('"', "");
    dumped.set(known, `${dumped.get(known) ?? ""}${row?.all ?? ""}`);
  }
  return dumped;
}

/** As itself, in the forms in which texts are kept, and as a digest that would tell it from others. */
const formsOf = (text: string): string[] => [
  text,
  Buffer.from(text)
    .toString("base64")
    .replace(/.{0,2}=*$/, ""),
  Buffer.from(text).toString("hex"),
  createHash("sha256").update(text).digest("hex"),
  createHash("sha256").update(text).digest("base64url"),
];

function foundIn(place: string, haystack: string): string[] {
  const text = haystack.toLowerCase();
  return canaries
    .filter((it) => !(it.places as readonly string[]).includes(place))
    .filter((it) => formsOf(it.text).some((form) => text.includes(form.toLowerCase())))
    .map(({ what }) => what);
}

describe("what must not be told", () => {
  it("stands in no table but where it belongs", async () => {
    const tables = await everyTable();
    expect([...tables.keys()]).toEqual(expect.arrayContaining(["audit.entry", "app.device", "app.chat", "app.group"]));
    for (const [table, text] of tables) expect([table, foundIn(table, text)]).toEqual([table, []]);
    // The search finds what is there.
    for (const { text, what, places } of canaries)
      for (const place of places.filter((it) => it !== "response"))
        expect(tables.get(place)?.includes(text) ?? false, `${what} in ${place}`).toBe(true);
  });

  it("stands in no answer", () => {
    expect(responses.length).toBeGreaterThan(100);
    expect(foundIn("response", responses.join("\n"))).toEqual([]);
  });

  it("stands in no line that the server wrote, at its most talkative", () => {
    const written = client.server.stdout() + client.server.stderr();
    expect(written).toMatch(/refused before execution/);
    canaries.push({ text: new URL(client.database.apiUrl).password, what: "the database's password", places: [] });
    canaries.push({ text: new URL(client.database.readerUrl).password, what: "the reader's password", places: [] });
    expect(foundIn("log", written)).toEqual([]);
  });

  it("stands neither in metrics nor in readiness", async () => {
    for (const path of ["/metrics", "/readyz", "/healthz"])
      expect([path, foundIn(path, await (await client.server.fetch(path)).text())]).toEqual([path, []]);
  });

  it("made no error that no one foresaw but those that the database was made to raise", async () => {
    expect(await internalErrors(client.server)).toBe(["P0001", "XX000", "42501", "54000"].length);
  });
});
