import { z } from "zod";

const change = z.object({
  field: z.string(),
  op: z.enum(["ADD", "REPLACE", "REMOVE"]),
  old: z.unknown(),
  new: z.unknown(),
  secret: z.boolean(),
});
const attemptedField = z.object({ field: z.string(), value: z.unknown(), secret: z.boolean() });

/** An entry as `auditLogs` gives it, as far as the demo looks at it. */
export const entry = z.object({
  id: z.string(),
  occurredAt: z.string(),
  actor: z.object({ id: z.string().nullable(), name: z.string().nullable(), onBehalfOf: z.string().nullable() }),
  eventType: z.string(),
  outcome: z.enum(["SUCCESS", "FAILURE", "DENIED"]),
  error: z.object({ code: z.string() }).nullable(),
  resource: z.object({ type: z.string(), id: z.string().nullable(), label: z.string().nullable() }).nullable(),
  changes: z.array(change),
  attempted: z.array(attemptedField),
  description: z.string(),
});

export type Entry = z.output<typeof entry>;
export type Change = Entry["changes"][number];
export type AttemptedField = Entry["attempted"][number];

/** What of an entry can be told before it is there; the id and the time are the database's, the actor the token's. */
export interface ExpectedEntry extends Pick<
  Entry,
  "eventType" | "outcome" | "error" | "resource" | "changes" | "attempted"
> {
  /** How the description ends, behind the actor. */
  readonly sentence: string;
}

/** A change of each field, in the given order: what stands in a creation. */
export const added = (values: Readonly<Record<string, unknown>>): Change[] =>
  Object.entries(values).map(([field, value]) => ({ field, op: "ADD", old: null, new: value, secret: false }));

/** A change of each field, in the given order: what is gone with a deletion. */
export const removed = (values: Readonly<Record<string, unknown>>): Change[] =>
  Object.entries(values).map(([field, value]) => ({ field, op: "REMOVE", old: value, new: null, secret: false }));

export const replaced = (field: string, old: unknown, value: unknown): Change => ({
  field,
  op: "REPLACE",
  old,
  new: value,
  secret: false,
});

/** That a secret changed: neither value is kept. */
export const secretly = (field: string, op: Change["op"]): Change => ({
  field,
  op,
  old: null,
  new: null,
  secret: true,
});

export const asked = (values: Readonly<Record<string, unknown>>): AttemptedField[] =>
  Object.entries(values).map(([field, value]) => ({ field, value, secret: false }));
