import { serverAudits } from "graphql-http";
import { describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";

// Several audits ask the schema about itself, which is allowed in development alone.
const client = useClient({ env: { NODE_ENV: "development" } });

/** Parse, validation and coercion failures answer 400, which the specification advises against for application/json. */
const knownWarnings = ["572B", "FDE2", "7B9B"];

describe("GraphQL over HTTP", () => {
  it("is as the specification has it, but for three pieces of advice", async () => {
    const audits = serverAudits({
      url: () => client.server.url,
      // As clients do that send no preflighted content type.
      fetchFn: (url: string, init?: RequestInit) =>
        fetch(url, {
          ...init,
          headers: { ...(init?.headers as Record<string, string>), "apollo-require-preflight": "1" },
        }),
    });
    const results = [];
    for (const audit of audits) results.push({ id: audit.id, name: audit.name, status: (await audit.fn()).status });
    expect(results.length).toBeGreaterThan(50);
    expect(results.filter(({ status }) => status === "error")).toEqual([]);
    const others = results.filter(({ status }) => status !== "ok").map(({ id, status }) => `${status} ${id}`);
    expect(others.sort()).toEqual(knownWarnings.map((id) => `warn ${id}`).sort());
  });
});
