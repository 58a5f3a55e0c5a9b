import { expect } from "vitest";
import type { Client } from "../support/client.js";
import { expectTyped, post, type Reply } from "./attempt.js";

/** Requests as the client's admin, for what never becomes a mutation. */
export interface Refusals {
  /** The headers of its token. */
  readonly bearer: () => Readonly<Record<string, string>>;
  /** Sends a document; whatever fails has a code. */
  readonly ask: (query: string, more?: Readonly<Record<string, unknown>>) => Promise<Reply>;
  /** How many entries the log has, but for those of sessions. */
  readonly count: () => Promise<string | undefined>;
  /** Refused by the status and the code given, and the log stays as it was. */
  readonly expectRefused: (send: () => Promise<Reply>, status: number, code: string) => Promise<void>;
}

export const codesOf = ({ errors }: Reply) => errors.map(({ extensions }) => extensions.code);

export function refusalsOf(client: Client): Refusals {
  const bearer = () => ({ authorization: `Bearer ${client.token}` });
  const count = async () => {
    const sql = "select count(*) from audit.entry where resource_type is distinct from 'audit_session'";
    return (await client.sql<{ count: string }>(sql))[0]?.count;
  };
  return {
    bearer,
    count,
    ask: async (query, more = {}) => {
      const reply = await post(client.server, JSON.stringify({ query, ...more }), bearer());
      expectTyped(reply);
      return reply;
    },
    expectRefused: async (send, status, code) => {
      const before = await count();
      const refused = await send();
      expectTyped(refused);
      expect([refused.status, ...codesOf(refused)], refused.text.slice(0, 300)).toEqual([status, code]);
      expect(refused.data).toBeUndefined();
      expect(await count()).toBe(before);
    },
  };
}
