import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { expectTyped, post, replyTo, sendBytes, useWatchedClient } from "./attempt.js";
import { codesOf, refusalsOf } from "./refusals.js";

const client = useWatchedClient();
const { bearer, ask, count, expectRefused } = refusalsOf(client);
const create = (name: string) => `createGroup(input: { name: "${name}" }) { id name }`;
const asJson = (query: string) => JSON.stringify({ query });

describe("a body", () => {
  it.each<[string, string | Uint8Array<ArrayBuffer>, number]>([
    ["that is empty", "", 400],
    ["that is white space", "  \n", 400],
    ["that ends early", '{"query": "{ devices', 400],
    ["with a comma too many", '{"query":"{__typename}",}', 400],
    ["in single quotes", "{'query':'{__typename}'}", 400],
    ["with a comment", '{"query":"{__typename}"} // x', 400],
    ["with two values", '{"query":"{__typename}"}{}', 400],
    ["of NUL bytes", "\0\0\0\0", 400],
    ["with a raw NUL in a text", '{"query":"{__typename}\0"}', 400],
    ["with a byte order mark", "\ufeff{}", 400],
    ["that is null", "null", 400],
    ["that is a number", "1", 400],
    ["that is a text", '"{ __typename }"', 400],
    ["that is an empty object", "{}", 400],
    ["that is an empty list", "[]", 400],
    ["that is a list of requests", `[${asJson("{ __typename }")}]`, 400],
    ["of brackets alone", "[".repeat(1_000_000), 400],
    ["that isn't UTF-8", Buffer.from('{"query":"{ caf\xe9 }"}', "latin1"), 400],
    ["of UTF-16", Buffer.from(asJson("{ __typename }"), "utf16le"), 400],
    ["with surrogates encoded one by one", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 400],
  ])("%s is no request", async (_, body, status) => {
    await expectRefused(() => post(client.server, body, bearer()), status, "BAD_REQUEST");
  });

  it.each<[string, unknown]>([
    ["a query that is a number", { query: 1 }],
    ["a query that is null", { query: null }],
    ["a query that is a list", { query: ["{ __typename }"] }],
    ["a query that is empty", { query: "" }],
    ["no query", { variables: {} }],
    ["variables that are a text", { query: "{ __typename }", variables: "{}" }],
    ["variables that are a list", { query: "{ __typename }", variables: [1] }],
    ["variables that are a number", { query: "{ __typename }", variables: 1 }],
    ["extensions that are a text", { query: "{ __typename }", extensions: "x" }],
    ["an operation's name that is a number", { query: "{ __typename }", operationName: 1 }],
    ["an operation's name that is a list", { query: "{ __typename }", operationName: ["a"] }],
  ])("with %s is no request", async (_, body) => {
    await expectRefused(() => post(client.server, JSON.stringify(body), bearer()), 400, "BAD_REQUEST");
  });

  it("larger than 2 MB is refused, whatever it is compressed to", async () => {
    const large = JSON.stringify({ query: "{ __typename }", variables: { x: "x".repeat(2_100_000) } });
    await expectRefused(() => post(client.server, large, bearer()), 413, "LIMIT_EXCEEDED");
    for (const [encoding, compress] of [
      ["gzip", gzipSync],
      ["deflate", deflateSync],
      ["br", brotliCompressSync],
    ] as const) {
      const bomb = new Uint8Array(compress(Buffer.alloc(50_000_000, "[")));
      const headers = { ...bearer(), "content-encoding": encoding };
      await expectRefused(() => post(client.server, bomb, headers), 413, "LIMIT_EXCEEDED");
    }
  });

  it.each<[string, Readonly<Record<string, string>>, number]>([
    ["an unknown encoding", { "content-encoding": "rot13" }, 415],
    ["an encoding that it hasn't", { "content-encoding": "gzip" }, 400],
    ["an unknown charset", { "content-type": "application/json; charset=ebcdic" }, 415],
    ["a charset that isn't UTF-8", { "content-type": "application/json; charset=latin1" }, 415],
    ["a form's type", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["a text's type", { "content-type": "text/plain" }, 415],
    ["a type that is none", { "content-type": "/" }, 415],
  ])("of %s is refused", async (_, headers, status) => {
    const before = await count();
    const reply = await post(client.server, asJson(`mutation { ${create("never")} }`), { ...bearer(), ...headers });
    expectTyped(reply);
    expect([reply.status, ...codesOf(reply)]).toEqual([status, "BAD_REQUEST"]);
    expect(await count()).toBe(before);
  });

  it("that takes keys for a prototype pollutes nothing", async () => {
    const body = `{"query":"{ __typename }","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},
      "variables":{"__proto__":{"polluted":1},"constructor":1},"extensions":{"__proto__":{"polluted":1}}}`;
    const reply = await post(client.server, body, bearer());
    expect(reply.data).toEqual({ __typename: "Query" });
    expect((await ask("query ($polluted: Int) { groups(first: $polluted) { nodes { id } } }")).data).not.toBeNull();
  });
});

describe("a request", () => {
  it.each([
    ["PUT", "/graphql", 405],
    ["DELETE", "/graphql", 405],
    ["PATCH", "/graphql", 405],
    ["OPTIONS", "/graphql", 405],
    ["POST", "/nothing", 404],
    ["GET", "/graphql/%E0%A4%A", 404],
    ["GET", "/%00", 404],
    ["GET", "/graphql/../../etc/passwd", 404],
    ["POST", "/healthz", 404],
  ])("%s %s is answered by %i", async (method, path, status) => {
    const before = await count();
    const body = method === "GET" ? {} : { body: asJson(`mutation { ${create("never")} }`) };
    const headers = { ...bearer(), "content-type": "application/json" };
    const reply = await replyTo(client.server, { method, headers, ...body }, path);
    expectTyped(reply);
    expect(reply.status).toBe(status);
    expect(await count()).toBe(before);
  });

  it.each(["text/html", "image/png", "garbage", ",", "*/*;q=0", "application/json;charset=utf-16"])(
    "that takes %s alone is refused, and nothing is done",
    async (accept) => {
      const body = asJson(`mutation { ${create("never")} }`);
      await expectRefused(() => post(client.server, body, { ...bearer(), accept }), 406, "BAD_REQUEST");
    },
  );

  it.each([
    ["a mutation", `query=${encodeURIComponent(`mutation { ${create("never")} }`)}`, 405],
    ["broken variables", "query=%7B__typename%7D&variables=%7B", 400],
    ["variables that are a list", "query=%7B__typename%7D&variables=%5B%5D", 400],
    ["no query", "", 400],
    ["two queries", "query=%7B__typename%7D&query=%7B__typename%7D", 400],
    ["a query cut in the midst of a character", "query=%F0%9F", 400],
  ])("by GET with %s is refused", async (_, search, status) => {
    const before = await count();
    const headers = { ...bearer(), "apollo-require-preflight": "1" };
    const reply = await replyTo(client.server, { headers }, `/graphql?${search}`);
    expectTyped(reply);
    expect(reply.status).toBe(status);
    expect(await count()).toBe(before);
  });

  it.each<[string, string, number]>([
    ["that isn't HTTP", "hello\r\n\r\n", 400],
    [
      "with a NUL in a header",
      "GET /healthz HTTP/1.1\r\nhost: x\r\nx-audit-reason: a\0b\r\nconnection: close\r\n\r\n",
      400,
    ],
    [
      "with a folded header",
      "GET /healthz HTTP/1.1\r\nhost: x\r\nx-audit-reason: a\r\n b\r\nconnection: close\r\n\r\n",
      400,
    ],
    ["with two lengths", "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", 400],
    [
      "with a length and chunks",
      "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["with a negative length", "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400],
    ["of another protocol's version", "GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n", 400],
    ["without a host", "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
    [
      "with an expectation that no one has",
      "POST /graphql HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
      417,
    ],
    ["that wants a tunnel", "CONNECT evil.test:443 HTTP/1.1\r\nhost: x\r\n\r\n", 405],
    ["with headers without end", `GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["with a path without end", `GET /graphql?query=${"a".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
  ])("%s is answered and the connection closed", async (_, bytes, status) => {
    const answer = await sendBytes(client.server, bytes);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.text).toMatch(/"code":"BAD_REQUEST"/);
  });
});
