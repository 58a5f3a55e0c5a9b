import { graphqlRequest } from "../load.js";
import type { Row } from "./arms.js";

/** A mutation whose cost is measured. */
export interface MeasuredMutation {
  readonly name: string;
  readonly query: string;
  /** Changes a row to something that it never was before. */
  readonly variables: (row: Row, number: number) => unknown;
}

export const mutations: readonly MeasuredMutation[] = [
  {
    name: "updateDevice",
    query: `mutation UpdateDevice($input: UpdateDeviceInput!) {
      updateDevice(input: $input) { id name status firmwareVersion updatedAt } }`,
    variables: ({ deviceId }, number) => ({ input: { id: deviceId, name: `Sensor, renamed ${String(number)}` } }),
  },
  {
    name: "upsertGroupBudget",
    query: `mutation UpsertGroupBudget($input: UpsertGroupBudgetInput!) {
      upsertGroupBudget(input: $input) { groupId spendLimitMicros updatedAt } }`,
    variables: ({ groupId }, number) => ({ input: { groupId, spendLimitMicros: String(1_000_000 + number) } }),
  },
];

/** Requests without end: each of another row than the last, each with a value of its own. */
export class RequestMaker {
  #number = 1;

  constructor(private readonly tokens: ReadonlyMap<string, string>) {}

  next({ query, variables }: MeasuredMutation, rows: readonly Row[]): Buffer {
    const number = this.#number++;
    // A prime step goes through all rows, in every tenant, before it comes back to one.
    const row = rows[(number * 7919) % rows.length];
    if (!row) throw new Error("There are no rows to change.");
    return graphqlRequest(this.tokens.get(row.tenantId) ?? "", query, variables(row, number));
  }
}
