import { GraphQLError } from "graphql";
import pg from "pg";
import { inject, expect, it, describe } from "vitest";
import { AuditError } from "../../src/audit/index.js";
import { safeError } from "../../src/log/safe-error.js";
import { query } from "../support/postgres.js";

async function failureOf(sql: string, params: unknown[] = []): Promise<unknown> {
  return query(inject("postgres").adminUrl, sql, params).catch((error: unknown) => error);
}

describe("what the log keeps of an error", () => {
  it("is nothing of a value that PostgreSQL refuses", async () => {
    const error = await failureOf("select $1::uuid", ["canary-4711"]);
    expect(error).toBeInstanceOf(pg.DatabaseError);
    const kept = safeError(error);
    expect(kept).toMatchObject({ code: "22P02", at: { routine: "string_to_uuid" } });
    expect(JSON.stringify(kept)).not.toContain("canary-4711");
  });

  it("is PostgreSQL's message where that names things, but no detail", async () => {
    const sql = "create temp table door (code text unique); insert into door values ('canary-4711'), ('canary-4711')";
    const kept = safeError(await failureOf(sql));
    expect(kept.message).toBe('duplicate key value violates unique constraint "door_code_key"');
    expect(kept).toMatchObject({ code: "23505", at: { table: "door", constraint: "door_code_key" } });
    expect(JSON.stringify(kept)).not.toContain("canary-4711");
  });

  it("is nothing of an ORM's statement and parameters", async () => {
    const driverError = await failureOf("select $1::uuid", ["canary-4711"]);
    const wrapped = Object.assign(new Error('invalid input syntax: "canary-4711"'), {
      query: "select 'canary-4711'",
      parameters: ["canary-4711"],
      driverError,
    });
    const kept = safeError(wrapped);
    expect(kept.cause?.code).toBe("22P02");
    expect(JSON.stringify(kept)).not.toContain("canary-4711");
  });

  it.each([
    ["a parser", () => JSON.parse("canary-4711") as unknown],
    [
      "graphql-js",
      () => {
        throw new GraphQLError('Variable "$input" got invalid value "canary-4711"');
      },
    ],
  ])("is nothing that %s quotes", (_, fail) => {
    let thrown: unknown;
    try {
      fail();
    } catch (error) {
      thrown = error;
    }
    expect(JSON.stringify(safeError(thrown))).not.toContain("canary-4711");
  });

  it("is its causes, five deep", () => {
    const chain = Array.from({ length: 9 }).reduce<Error>(
      (cause, _, depth) => new Error(String(depth), { cause }),
      new Error("first"),
    );
    const messages = [];
    for (let kept: ReturnType<typeof safeError> | undefined = safeError(chain); kept; kept = kept.cause)
      messages.push(kept.message);
    expect(messages).toEqual(["8", "7", "6", "5", "4", "3"]);
  });

  it("is the message of our own errors, and where it was made", () => {
    const kept = safeError(
      new AuditError("UNAVAILABLE", "The database can't be reached.", { cause: new Error("why") }),
    );
    expect(kept).toMatchObject({
      name: "AuditError",
      code: "UNAVAILABLE",
      message: "The database can't be reached.",
      cause: { message: "why" },
    });
    expect(kept.stack?.[0]).toMatch(/^at /);
  });

  it("is only its kind where it is no error", () => {
    expect(safeError("canary-4711")).toEqual({ name: "string" });
  });
});
