import { buildSchema, Kind, parse } from "graphql";
import { expect, it } from "vitest";
import { variableProblems } from "../../src/http/variable-problems.js";

/** One request of 2 MB, whoever sent it, held the process up for ten seconds: each of the errors was made again. */
it("of a list of wrong values no more are looked at than are told", () => {
  const schema = buildSchema("type Query { named(ids: [ID!]!): Int }");
  const [operation] = parse("query ($ids: [ID!]!) { named(ids: $ids) }").definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error("It isn't a query.");
  const [variable] = operation.variableDefinitions ?? [];
  if (!variable) throw new Error("It has no variable.");
  let seen = 0;
  const ids = {
    *[Symbol.iterator]() {
      for (; seen < 100_000; seen++) yield null;
    },
  };
  const problems = variableProblems(schema, variable, { ids });
  expect([problems.length, seen]).toEqual([50, 49]);
  expect(problems.at(-1)).toEqual({
    field: "ids.49",
    message: 'Expected non-nullable type "ID!" not to be null.',
  });
});
