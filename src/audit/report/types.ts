import { GraphQLScalarType, valueFromASTUntyped } from "graphql";
import { BigIntScalar } from "../scalars.js";
import { Field, ID, InputType, Int, ObjectType } from "../type-graphql.js";

/** One entry as it was sent. Nobody who walks through arguments looks into it: each entry is judged alone. */
export class UnjudgedEntry {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  get value(): unknown {
    return this.#value;
  }
}

const ReportedEntryScalar = new GraphQLScalarType<UnjudgedEntry, never>({
  name: "ReportedEntry",
  description: `A JSON object: what another process saw. { sequenceNumber: a whole number, beyond 2^53 as text; claimedAt: ISO 8601
with an offset, at most 30 days back and 10 minutes ahead; resourceType, action and fields as docs/audited-resources.md
lists what is reported; outcome: "SUCCESS", "FAILURE" or "DENIED"; and where it is known: resourceId, errorCode (of what
isn't a SUCCESS), onBehalfOf, requestId (a UUID) }. Whatever else it is, it is refused by its index, alone.`,
  parseValue: (value) => new UnjudgedEntry(value),
  parseLiteral: (node, variables) => new UnjudgedEntry(valueFromASTUntyped(node, variables)),
});

@InputType({ description: "Which program reports, each text of 1 to 200 characters." })
export class ReportSourceInput {
  @Field(() => String)
  program!: string;

  @Field(() => String)
  version!: string;

  @Field(() => String)
  host!: string;
}

@InputType({ description: "Entries that will never come, and why." })
export class DroppedEntriesInput {
  @Field(() => String, { description: "1 to 200 characters; a session's reasons beyond the 49th count as one." })
  reason!: string;

  @Field(() => [[BigIntScalar]], {
    description:
      "Ranges of their sequence numbers, [first, last], both included, at most 1,000 a call. Said twice, they count once; below the session's `countedTo`, where it can't be told, not at all.",
  })
  sequenceNumbers!: bigint[][];
}

@InputType()
export class ReportAuditEntriesInput {
  @Field(() => ID, {
    description:
      "A UUID of version 7 that the process made for this run of its own. It belongs to the tenant and subject that used it first.",
  })
  sessionId!: string;

  @Field(() => ReportSourceInput)
  source!: ReportSourceInput;

  @Field(() => [ReportedEntryScalar], {
    nullable: "items",
    description: "Up to 1,000: those beyond are refused, to be sent again; with more than 100,000, the whole call.",
  })
  entries!: (UnjudgedEntry | null)[];

  @Field(() => [DroppedEntriesInput], { nullable: true })
  dropped?: DroppedEntriesInput[] | null;

  @Field(() => BigIntScalar, {
    nullable: true,
    description: "How many numbers the session has taken so far, so that a loss at its end shows.",
  })
  taken?: bigint | null;

  @Field(() => Boolean, { nullable: true, description: "Whether the session ends with this call." })
  close?: boolean | null;
}

@ObjectType({ simpleResolvers: true, description: "An entry that was not accepted." })
export class RefusedEntry {
  @Field(() => Int, { description: "Its place in the call, from 0." })
  index!: number;

  @Field(() => BigIntScalar, { nullable: true, description: "Null where it had none that could be read." })
  sequenceNumber!: string | null;

  @Field(() => String, {
    description:
      "BAD_USER_INPUT and CONFLICT, where the number was reported with other content, are for good; LIMIT_EXCEEDED asks to send it again.",
  })
  code!: string;

  @Field(() => String)
  message!: string;
}

@ObjectType({ simpleResolvers: true, description: "What came of a call: each of its entries is one of these." })
export class ReportedEntries {
  @Field(() => ID)
  sessionId!: string;

  @Field(() => Int, { description: "Entries that are in the log now, and weren't before." })
  accepted!: number;

  @Field(() => Int, { description: "Entries that were in the log before, just so." })
  repeated!: number;

  @Field(() => [RefusedEntry])
  refused!: readonly RefusedEntry[];
}
