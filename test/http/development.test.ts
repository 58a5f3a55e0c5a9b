import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";

const introspection = "{ __schema { queryType { fields { name } } } }";
const misspelt = "{ grops { nodes { id } } }";

describe("what is for development alone", () => {
  let database: TestDatabase;
  let development: TestServer;
  let production: TestServer;

  beforeAll(async () => {
    database = await createDatabase();
    development = await startServer({ database, env: { NODE_ENV: "development" } });
    production = await startServer({ database });
  });
  afterAll(async () => {
    await Promise.all([development, production].map((server) => server.stop()));
    await database.drop();
  });

  it("introspects the schema, and not in production", async () => {
    expect((await development.request(introspection)).errors).toBeUndefined();
    const { status, errors } = await production.request(introspection);
    expect([status, errors?.[0]?.extensions.code]).toEqual([400, "GRAPHQL_VALIDATION_FAILED"]);
  });

  it("suggests what may have been meant, and not in production", async () => {
    expect((await development.request(misspelt)).errors?.[0]?.message).toContain('Did you mean "groups"');
    expect((await production.request(misspelt)).errors?.[0]?.message).toBe(
      'Cannot query field "grops" on type "Query".',
    );
  });

  it("shows no stack trace, even then", async () => {
    const { errors } = await development.request("{ groups { nodes { id } } }");
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: "UNAUTHENTICATED" }]);
  });

  it("serves GraphiQL whole from this server, and not in production", async () => {
    expect((await production.fetch("/graphiql")).status).toBe(404);
    expect(production.stdout()).not.toContain("graphiql");
    expect(development.stdout()).toContain(`  graphiql   ${development.origin}/graphiql\n`);
    const response = await development.fetch("/graphiql");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const page = await response.text();
    const links = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link = ""]) => link);
    expect(links.filter((link) => !link.startsWith("/graphiql/") && link !== "data:,")).toEqual([]);
    for (const link of links.filter((each) => each.startsWith("/"))) {
      const file = await development.fetch(link);
      expect([link, file.status, file.headers.get("content-type")?.split(";")[0]]).toEqual([
        link,
        200,
        link.endsWith(".css") ? "text/css" : "text/javascript",
      ]);
    }
  });

  it("begins GraphiQL with a query that shows the log to an auditor, and says where the token goes", async () => {
    const script = await (await development.fetch("/graphiql/start.js")).text();
    const query = JSON.parse(/defaultQuery: (".*"),$/m.exec(script)?.[1] ?? '""') as string;
    expect(query).toContain("Headers");
    const token = await development.token({ tenant: "acme", roles: ["auditor"] });
    const { data, errors } = await development.request(query, { token });
    expect([errors, data]).toEqual([undefined, { auditLogs: { nodes: expect.any(Array) as unknown[] } }]);
    expect(query).toContain("--role auditor");
  });

  it("lets GraphiQL's page ask no other host", async () => {
    const policy = (await development.fetch("/graphiql")).headers.get("content-security-policy") ?? "";
    const sources = policy.split("; ").flatMap((directive) => directive.split(" ").slice(1));
    expect(policy).toMatch(/^default-src 'none'; /);
    expect(new Set(sources)).toEqual(new Set(["'none'", "'self'", "'unsafe-inline'", "data:"]));
  });
});
