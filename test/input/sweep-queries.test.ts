import { isNullableType, isRequiredArgument } from "graphql";
import { describe, expect, it } from "vitest";
import { expectTyped, post, schema, useWatchedClient } from "./attempt.js";
import { hostile } from "./hostile.js";

const client = useWatchedClient();
const uuid = "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50";

describe("whatever stands in an argument of", () => {
  const queries = Object.values(schema.getQueryType()?.getFields() ?? {});

  it.each(queries.map((field) => [field.name, field] as const))(
    "the query %s is answered typed, and leaves no entry but of looks at the log, and of the session of theirs",
    async (_, { name, args, type }) => {
      const token = await client.server.token({ subject: "x", tenant: "acme", roles: ["admin", "auditor"] });
      const count = "select count(*) from audit.entry where resource_type not in ('audit_log', 'audit_session')";
      const before = await client.sql(count);
      for (const asked of args) {
        // What has to be given is an id.
        const others = args.filter((other) => other !== asked && isRequiredArgument(other));
        const given = [`${asked.name}: $it`, ...others.map((other) => `${other.name}: "${uuid}"`)].join(", ");
        const query = `query ($it: ${asked.type.toString()}) { ${name}(${given}) { __typename } }`;
        for (const json of hostile) {
          const body = `{"query":${JSON.stringify(query)},"variables":{"it":${json}}}`;
          const reply = await post(client.server, body, { authorization: `Bearer ${token}` });
          expectTyped(reply);
          if (isNullableType(type)) continue;
          expect(reply.data?.[name] !== undefined, json).toBe(reply.errors.length === 0);
        }
      }
      expect(await client.sql(count)).toEqual(before);
    },
  );
});
