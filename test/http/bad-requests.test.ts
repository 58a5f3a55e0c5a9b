import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { startServer, type ResponseError } from "../support/server.js";
import { until } from "../support/until.js";

const client = useClient();
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const query = JSON.stringify({ query: "{ __typename }" });
const json = { "content-type": "application/json" };

interface Refusal {
  readonly errors: readonly ResponseError[];
}

async function send(init: RequestInit, path = "/graphql") {
  const response = await client.server.fetch(path, { method: "POST", headers: json, ...init });
  const body = (await response.json()) as Refusal;
  return { status: response.status, requestId: response.headers.get("x-request-id"), ...body };
}

async function internalErrors(): Promise<string | undefined> {
  const metrics = await (await client.server.fetch("/metrics")).text();
  return /^internal_errors_total (\d+)$/m.exec(metrics)?.[1];
}

describe("a request that can't be understood", () => {
  const latin1 = Buffer.from(query.replace("__typename", "__typename #\xE9"), "latin1");

  it.each<[string, number, string, RequestInit]>([
    ["no JSON", 400, "BAD_REQUEST", { body: "{bad" }],
    ["an empty body", 400, "BAD_REQUEST", { body: "" }],
    ["a JSON string", 400, "BAD_REQUEST", { body: '"x"' }],
    ["null", 400, "BAD_REQUEST", { body: "null" }],
    ["an empty object", 400, "BAD_REQUEST", { body: "{}" }],
    ["a batch", 400, "BAD_REQUEST", { body: `[${query}]` }],
    ["a million brackets", 400, "BAD_REQUEST", { body: "[".repeat(1_000_000) }],
    ["a query that is a number", 400, "BAD_REQUEST", { body: '{"query":7}' }],
    ["variables that are a list", 400, "BAD_REQUEST", { body: '{"query":"{__typename}","variables":[1]}' }],
    ["variables that are text", 400, "BAD_REQUEST", { body: '{"query":"{__typename}","variables":"{}"}' }],
    ["a name that is a number", 400, "BAD_REQUEST", { body: '{"query":"{__typename}","operationName":7}' }],
    [
      "a persisted query",
      200,
      "PERSISTED_QUERY_NOT_SUPPORTED",
      { body: '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}' },
    ],
    [
      "an unknown operation",
      400,
      "OPERATION_RESOLUTION_FAILURE",
      { body: '{"query":"query A {__typename}","operationName":"B"}' },
    ],
    [
      "two operations and no name",
      400,
      "OPERATION_RESOLUTION_FAILURE",
      { body: '{"query":"query A {__typename} query B {__typename}"}' },
    ],
    ["a subscription", 400, "OPERATION_RESOLUTION_FAILURE", { body: '{"query":"subscription { x }"}' }],
    ["a document of no GraphQL", 400, "GRAPHQL_PARSE_FAILED", { body: '{"query":"}{"}' }],
    ["an empty document", 400, "BAD_REQUEST", { body: '{"query":""}' }],
    ["NUL in the document", 400, "GRAPHQL_PARSE_FAILED", { body: '{"query":"{ __type\\u0000name }"}' }],
    ["an unknown field", 400, "GRAPHQL_VALIDATION_FAILED", { body: '{"query":"{ nothing }"}' }],
    ["introspection", 400, "GRAPHQL_VALIDATION_FAILED", { body: '{"query":"{ __schema { types { name } } }"}' }],
    ["3 MB", 413, "LIMIT_EXCEEDED", { body: "x".repeat(3_000_000) }],
    [
      "3 MB in 3 kB",
      413,
      "LIMIT_EXCEEDED",
      { body: gzipSync("x".repeat(3_000_000)), headers: { ...json, "content-encoding": "gzip" } },
    ],
    ["what gzip can't unpack", 400, "BAD_REQUEST", { body: query, headers: { ...json, "content-encoding": "gzip" } }],
    ["an unknown encoding", 415, "BAD_REQUEST", { body: query, headers: { ...json, "content-encoding": "zip" } }],
    ["Latin-1", 415, "BAD_REQUEST", { body: latin1, headers: { "content-type": "application/json; charset=latin1" } }],
    ["Latin-1 that says it is UTF-8", 400, "BAD_REQUEST", { body: latin1 }],
    [
      "UTF-16",
      415,
      "BAD_REQUEST",
      { body: Buffer.from(query, "utf16le"), headers: { "content-type": "application/json; charset=utf-16" } },
    ],
    ["plain text", 415, "BAD_REQUEST", { body: query, headers: { "content-type": "text/plain" } }],
    ["a form", 415, "BAD_REQUEST", { body: new URLSearchParams({ query: "{__typename}" }), headers: {} }],
    ["a media type that is none", 415, "BAD_REQUEST", { body: query, headers: { "content-type": "json" } }],
    ["PUT", 405, "BAD_REQUEST", { body: query, method: "PUT" }],
    ["DELETE", 405, "BAD_REQUEST", { method: "DELETE" }],
    ["nothing that the client accepts", 406, "BAD_REQUEST", { body: query, headers: { ...json, accept: "image/png" } }],
  ])("is refused with a code where it sends %s", async (_, status, code, init) => {
    const refusal = await send(init);
    expect(refusal.errors.map(({ extensions }) => extensions.code)).toEqual([code]);
    expect(refusal.status).toBe(status);
    expect(refusal.requestId).toMatch(uuid);
    expect(await internalErrors()).toBe("0");
  });

  it("is logged with its request id, and with nothing that it sent", async () => {
    const { requestId } = await send({ body: '{"query":"{ canary-in-document }"}' });
    await until(() => client.server.stderr().includes(requestId ?? "none"), { what: "it is logged" });
    expect(client.server.stderr()).not.toContain("canary-in-document");
    const line =
      client.server
        .stderr()
        .split("\n")
        .find((each) => each.includes(requestId ?? "none")) ?? "{}";
    expect(JSON.parse(line)).toMatchObject({ level: "info", requestId, status: 400, codes: ["GRAPHQL_PARSE_FAILED"] });
  });

  it("is refused as cross-site where a form could have sent it", async () => {
    const response = await client.server.fetch("/graphql?query=%7B__typename%7D");
    expect(response.status).toBe(400);
    expect(((await response.json()) as Refusal).errors[0]?.extensions.code).toBe("BAD_REQUEST");
  });

  it("changes nothing by GET", async () => {
    const path = `/graphql?query=${encodeURIComponent('mutation { createGroup(input: { name: "g" }) { id } }')}`;
    const response = await client.server.fetch(path, { headers: { "apollo-require-preflight": "1" } });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("is answered with 404 elsewhere", async () => {
    for (const path of ["/", "/graphqlx", "/graphiql", "/graphql/x", "/%E0%A4%A", "/..%2f..%2fetc/passwd"]) {
      const { status, errors } = await send({ body: query }, path);
      expect([path, status, errors[0]?.extensions.code]).toEqual([path, 404, "NOT_FOUND"]);
    }
  });

  it.each([
    ["no HTTP", "GET\r\n\r\n", 400],
    ["headers of 20 kB", `GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["two lengths", "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400],
  ])("is refused where it is %s", async (_, text, status) => {
    const answer = await raw(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
    expect(answer).toMatch(/\r\nx-request-id: [0-9a-f-]{36}\r\n/);
    expect(answer).toContain('"code":"BAD_REQUEST"');
  });

  it("does no harm where it is given up halfway", async () => {
    const { port } = new URL(client.server.origin);
    const socket = connect(Number(port), "127.0.0.1");
    socket.write("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
    await once(socket, "connect");
    socket.resetAndDestroy();
    expect((await send({ body: query })).status).toBe(200);
    expect(await internalErrors()).toBe("0");
  });
});

describe("values of the wrong kind", () => {
  const createDevice = "mutation ($input: CreateDeviceInput!) { createDevice(input: $input) { id } }";
  const problemsOf = (errors: readonly ResponseError[] | undefined) =>
    errors?.map(({ message, extensions }) => [extensions.code, extensions.fields?.[0]?.field, message]);

  it("in variables are named by their paths, and not repeated", async () => {
    const input = { serialNumber: 7, name: null, provisioningSecret: { canary: "canary-4711" }, colour: "red" };
    const { status, errors } = await client.server.request(createDevice, { variables: { input }, token: client.token });
    expect(status).toBe(400);
    expect(problemsOf(errors)).toEqual([
      [
        "BAD_USER_INPUT",
        "input.serialNumber",
        'Variable "$input" at "input.serialNumber": String cannot represent a non string value.',
      ],
      [
        "BAD_USER_INPUT",
        "input.name",
        'Variable "$input" at "input.name": Expected non-nullable type "String!" not to be null.',
      ],
      [
        "BAD_USER_INPUT",
        "input.provisioningSecret",
        'Variable "$input" at "input.provisioningSecret": String cannot represent a non string value.',
      ],
      ["BAD_USER_INPUT", "input", 'Variable "$input": Field "colour" is not defined by type "CreateDeviceInput".'],
    ]);
    expect(client.server.stderr()).not.toContain("canary-4711");
  });

  it.each([
    ["null", { input: null }, 'Variable "$input" must not be null.'],
    ["nothing", {}, 'Variable "$input" must be given.'],
    ["a text", { input: "canary-4711" }, 'Variable "$input": Expected type "CreateDeviceInput" to be an object.'],
  ])("are told where a variable is %s", async (_, variables, message) => {
    const { status, errors } = await client.server.request(createDevice, { variables, token: client.token });
    expect([status, problemsOf(errors)]).toEqual([400, [["BAD_USER_INPUT", "input", message]]]);
  });

  it("in the document are not repeated", async () => {
    const document = `mutation {
      createDevice(input: { serialNumber: "s", name: "n", provisioningSecret: canary_4711 }) { id }
      updateDevice(input: { id: "x", status: CANARY_4711 }) { id }
      deviceHeartbeat(input: { id: "x", at: "canary-4711" }) { id }
    }`;
    const { status, errors } = await client.server.request(document, { token: client.token });
    expect(status).toBe(400);
    expect(errors?.map(({ message, extensions }) => [extensions.code, message])).toEqual([
      ["GRAPHQL_VALIDATION_FAILED", "String cannot represent a non string value."],
      ["GRAPHQL_VALIDATION_FAILED", 'Expected a value of the "DeviceStatus" enum.'],
      [
        "GRAPHQL_VALIDATION_FAILED",
        expect.stringMatching(/^Expected value of type "DateTime"\. A DateTime is ISO-8601/),
      ],
    ]);
  });

  it("in a sentence that is none are not repeated", async () => {
    for (const document of ['{ group(id: ) "canary-4711" }', '{ group(id: "canary-4711" "canary-4711']) {
      const { errors } = await client.server.request(document, { token: client.token });
      expect(errors?.[0]?.extensions.code).toBe("GRAPHQL_PARSE_FAILED");
      expect(errors?.[0]?.message).not.toContain("canary");
      expect(errors?.[0]?.locations).toHaveLength(1);
    }
  });

  it("that come as null for an argument that has a default are the caller's fault", async () => {
    const { errors } = await client.server.request("query ($n: Int = 5) { groups(first: $n) { nodes { id } } }", {
      variables: { n: null },
      token: client.token,
    });
    expect(problemsOf(errors)).toEqual([
      ["BAD_USER_INPUT", "first", 'Argument "first" of non-null type "Int!" must not be null.'],
    ]);
  });

  it("by the hundred are told up to a limit", async () => {
    const ids = Array.from({ length: 100 }, () => ({}));
    const { status, errors } = await client.server.request(
      "mutation ($ids: [ID!]!) { archiveChats(input: { ids: $ids }) { id } }",
      { variables: { ids }, token: client.token },
    );
    expect(status).toBe(400);
    expect(new Set(errors?.map(({ extensions }) => extensions.code))).toEqual(new Set(["BAD_USER_INPUT"]));
    expect(errors?.length).toBeLessThanOrEqual(51);
  });

  it("of a megabyte reach the field, which refuses them", async () => {
    const { status, errors } = await client.mutate(
      "createGroup(input: { name: $name }) { id }".replace("$name", `"${"x".repeat(1_000_000)}"`),
    );
    expect(status).toBe(200);
    expect(problemsOf(errors)?.[0]?.slice(0, 2)).toEqual(["BAD_USER_INPUT", "input.name"]);
  });
});

describe("a caller whose issuer can't be reached", () => {
  it("is told so with 503, and the server goes on", async () => {
    const env = { JWT_PUBLIC_KEY_FILE: undefined, JWKS_URL: "http://127.0.0.1:1/keys" };
    const server = await startServer({ database: client.database, env });
    try {
      const { status, errors } = await server.request("{ groups { nodes { id } } }", { token: client.token });
      expect([status, errors?.[0]?.extensions.code]).toEqual([503, "UNAVAILABLE"]);
      const anonymous = await server.request("{ groups { nodes { id } } }");
      expect([anonymous.status, anonymous.errors?.[0]?.extensions.code]).toEqual([200, "UNAUTHENTICATED"]);
    } finally {
      await server.stop();
    }
  });
});

async function raw(text: string): Promise<string> {
  const { port } = new URL(client.server.origin);
  const socket = connect(Number(port), "127.0.0.1");
  socket.setEncoding("utf8");
  socket.write(text);
  let answer = "";
  for await (const part of socket) answer += String(part);
  return answer;
}
