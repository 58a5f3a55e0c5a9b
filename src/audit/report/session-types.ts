import { enumOf } from "../enum-of.js";
import { PageInfo } from "../page-info.js";
import { BigIntScalar, DateTime } from "../scalars.js";
import { AuditSequenceRange } from "../sequence-range.js";
import { Extensions, Field, ID, ObjectType, registerEnumType } from "../type-graphql.js";

export const sessionKinds = ["API", "REPORTER"] as const;
export type SessionKind = (typeof sessionKinds)[number];
export const sessionStates = ["OPEN", "CLOSED", "SILENT"] as const;
export type SessionState = (typeof sessionStates)[number];

export const AuditSessionKindEnum = enumOf(sessionKinds);
export const AuditSessionStateEnum = enumOf(sessionStates);

registerEnumType(AuditSessionKindEnum, {
  name: "AuditSessionKind",
  description: "API: a run of this API. REPORTER: one of another process, which reports into the log.",
});
registerEnumType(AuditSessionStateEnum, {
  name: "AuditSessionState",
  description: "SILENT is one that wasn't closed and of which nothing was heard for a minute: it ended otherwise.",
});

/** A list of ranges costs as much as so many objects: it may have a thousand. */
const costOfRanges = 30;

@ObjectType({ simpleResolvers: true, description: "Some of a session's sequence numbers." })
export class AuditSequenceNumbers {
  @Field(() => BigIntScalar, { description: "How many they are, whatever is shown of them." })
  count!: string;

  @Field(() => [AuditSequenceRange], {
    description: "The lowest of them from the session's `countedTo` on, a thousand ranges at most.",
  })
  ranges!: readonly AuditSequenceRange[];

  @Field(() => Boolean, { description: "Whether there are more than the ranges show, below or above them." })
  isCapped!: boolean;
}

@ObjectType({ simpleResolvers: true, description: "Numbers that will never come, as the reporter itself says." })
export class AuditDroppedNumbers extends AuditSequenceNumbers {
  @Field(() => String)
  reason!: string;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "One run of a process as one tenant sees it: it numbers what it audits from 0, so that what is lost leaves a gap.",
})
export class AuditSession {
  @Field(() => ID)
  id!: string;

  @Field(() => AuditSessionKindEnum)
  kind!: string;

  @Field(() => String)
  program!: string;

  @Field(() => String)
  version!: string;

  @Field(() => String)
  host!: string;

  @Field(() => ID, { nullable: true, description: "Null for what belongs to no tenant." })
  tenantId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "Who reports: the subject of the token that opened it. Null for the API's own.",
  })
  reporter!: string | null;

  @Field(() => DateTime)
  openedAt!: string;

  @Field(() => DateTime)
  lastHeardAt!: string;

  @Field(() => DateTime, { nullable: true, description: "Null where nothing closed it." })
  closedAt!: string | null;

  @Field(() => AuditSessionStateEnum)
  state!: string;

  @Field(() => BigIntScalar, {
    description: "How many numbers were taken, as far as is known: by what the process said, and by those that came.",
  })
  expected!: string;

  @Field(() => BigIntScalar, { description: "How many of them have an entry, or are named by a summary." })
  received!: string;

  @Field(() => BigIntScalar, {
    description:
      "Of the numbers below, only counts are kept: so many ranges did a reporter's numbers make. 0 where all are kept one by one.",
  })
  countedTo!: string;

  @Extensions({ complexity: costOfRanges })
  @Field(() => AuditSequenceNumbers, {
    description: "Those without: each is in one of the three lists below. What a reporter dropped isn't among them.",
  })
  missing!: AuditSequenceNumbers;

  @Extensions({ complexity: costOfRanges })
  @Field(() => AuditSequenceNumbers, {
    description:
      "Whose operation had ended with its entry, as the process said, or whose reporter said that it has ended: the entry isn't there.",
  })
  lost!: AuditSequenceNumbers;

  @Extensions({ complexity: costOfRanges })
  @Field(() => AuditSequenceNumbers, {
    description: "Of an open session: whose entry may yet come, such as of an operation that goes on.",
  })
  inFlight!: AuditSequenceNumbers;

  @Extensions({ complexity: costOfRanges })
  @Field(() => AuditSequenceNumbers, {
    description:
      "Of an API's session that ended: whose operation wasn't known to have ended. It was cut off, and then changed nothing; or its entry waits in that process's file, or was lost with it. Of a silent reporter's: what hasn't come, and may wait in its file.",
  })
  cutOff!: AuditSequenceNumbers;

  @Field(() => BigIntScalar, { description: "How many entries were reported again, and taken once." })
  duplicates!: string;

  @Extensions({ complexity: costOfRanges })
  @Field(() => [AuditDroppedNumbers])
  dropped!: readonly AuditDroppedNumbers[];
}

@ObjectType({ simpleResolvers: true })
export class AuditSessionEdge {
  @Field(() => String)
  cursor!: string;

  @Field(() => AuditSession)
  node!: AuditSession;
}

@ObjectType({ simpleResolvers: true })
export class AuditSessionConnection {
  @Field(() => [AuditSessionEdge])
  edges!: readonly AuditSessionEdge[];

  @Field(() => [AuditSession])
  nodes!: readonly AuditSession[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}
