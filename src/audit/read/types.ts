import { actorTypes, auditActions, auditOutcomes } from "../entry.js";
import { enumOf } from "../enum-of.js";
import { PageInfo } from "../page-info.js";
import { BigIntScalar, DateTime, Json, JsonObject } from "../scalars.js";
import { AuditSequenceRange } from "../sequence-range.js";
import { Extensions, Field, ID, Int, ObjectType, registerEnumType } from "../type-graphql.js";

export const changeOps = ["ADD", "REPLACE", "REMOVE"] as const;
export const auditOrders = ["NEWEST_FIRST", "OLDEST_FIRST"] as const;
export type AuditOrder = (typeof auditOrders)[number];

export const AuditActionEnum = enumOf(auditActions);
export const AuditOutcomeEnum = enumOf(auditOutcomes);
export const AuditActorTypeEnum = enumOf(actorTypes);
export const AuditChangeOpEnum = enumOf(changeOps);
export const AuditOrderEnum = enumOf(auditOrders);

registerEnumType(AuditActionEnum, { name: "AuditAction" });
registerEnumType(AuditOutcomeEnum, { name: "AuditOutcome" });
registerEnumType(AuditActorTypeEnum, { name: "AuditActorType" });
registerEnumType(AuditChangeOpEnum, { name: "AuditChangeOp" });
registerEnumType(AuditOrderEnum, { name: "AuditOrder" });

@ObjectType({
  simpleResolvers: true,
  description: "Who did it, as known when it was done: a later change of name changes no entry.",
})
export class AuditActor {
  @Field(() => AuditActorTypeEnum)
  type!: string;

  @Field(() => ID, { nullable: true })
  id!: string | null;

  @Field(() => String, { nullable: true })
  name!: string | null;

  @Field(() => ID, { nullable: true, description: "Whom a service acted for." })
  onBehalfOf!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Which part of the system acted, where no one asked it to, such as "chat_auto_archive".',
  })
  subsystem!: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The credential that was used: who issued it, its id, and the client that holds it, where it says so.",
  })
  issuer!: string | null;

  @Field(() => ID, { nullable: true })
  tokenId!: string | null;

  @Field(() => ID, { nullable: true })
  clientId!: string | null;
}

@ObjectType({ simpleResolvers: true })
export class AuditResource {
  @Field(() => String)
  type!: string;

  @Field(() => ID, { nullable: true })
  id!: string | null;

  @Field(() => String, { nullable: true, description: "How people know it, as it was then." })
  label!: string | null;

  // Both are looked up only where they are selected: the default resolver calls a function that it finds.
  @Field(() => String, { nullable: true, description: "Where it is to be seen, while it exists." })
  link!: () => Promise<string | null>;

  @Field(() => Boolean, {
    nullable: true,
    description: "Whether it is gone now; null where that could not be found out.",
  })
  isDeleted!: () => Promise<boolean | null>;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "In place of a value too large to keep, which is then null: its canonical form's length and salted SHA-256, in hex.",
})
export class AuditOmitted {
  @Field(() => Int)
  bytes!: number;

  @Field(() => String)
  digest!: string;
}

@ObjectType({
  simpleResolvers: true,
  description: `One field of the resource, by its entity property's name. A list or map is one field, given whole; a set is sorted by code point.
ADD where the resource wasn't there before, REMOVE where it is gone, else REPLACE, also from and to null.`,
})
export class AuditChange {
  @Field(() => String)
  field!: string;

  @Field(() => AuditChangeOpEnum)
  op!: string;

  @Field(() => Json, {
    nullable: true,
    description: "Null also where op is ADD. 64-bit integers and decimals are strings.",
  })
  old!: unknown;

  @Field(() => Json, { nullable: true })
  new!: unknown;

  @Field(() => AuditOmitted, { nullable: true })
  oldOmitted!: AuditOmitted | null;

  @Field(() => AuditOmitted, { nullable: true })
  newOmitted!: AuditOmitted | null;

  @Field(() => Boolean, { description: "A secret changed: neither value is kept." })
  secret!: boolean;
}

@ObjectType({ simpleResolvers: true })
export class AuditAttemptedField {
  @Field(() => String)
  field!: string;

  @Field(() => Json, {
    nullable: true,
    description: "Null also where secret or omitted; U+FFFD stands for what can't be stored.",
  })
  value!: unknown;

  @Field(() => Boolean)
  secret!: boolean;

  @Field(() => AuditOmitted, { nullable: true })
  omitted!: AuditOmitted | null;
}

// The class has another name than the type: AuditError is what the program throws.
@ObjectType("AuditError", { simpleResolvers: true })
export class AuditEntryError {
  @Field(() => String)
  code!: string;

  @Field(() => String, { nullable: true })
  message!: string | null;
}

@ObjectType({ simpleResolvers: true, description: "A look at the log." })
export class AuditAccess {
  @Field(() => JsonObject, {
    description:
      "What was asked for, as it was asked; of a filter too large to keep, its length and digest. In the log of another tenant than the reader's, values are null, and tenantId names that tenant alone.",
  })
  filter!: Readonly<Record<string, unknown>>;

  @Field(() => Int, { description: "How many entries of this entry's own log the answer held." })
  rows!: number;
}

@ObjectType({ simpleResolvers: true, description: "Another process, in whose words an entry is." })
export class AuditReporter {
  @Field(() => ID, { description: "The subject of the token that it was reported with." })
  id!: string;

  @Field(() => String, { nullable: true, description: "As it called itself when its session began." })
  program!: string | null;

  @Field(() => String, { nullable: true })
  version!: string | null;

  @Field(() => String, { nullable: true })
  host!: string | null;
}

@ObjectType({ simpleResolvers: true, description: "The place of an entry in another process's session." })
export class AuditCorrelation {
  @Field(() => ID)
  sessionId!: string;

  @Field(() => BigIntScalar)
  sequenceNumber!: string;
}

@ObjectType({ simpleResolvers: true })
export class AuditEntry {
  @Field(() => ID)
  id!: string;

  @Field(() => DateTime, { description: "When the database recorded it: no caller can set it." })
  occurredAt!: string;

  @Field(() => ID, { nullable: true, description: "Null for what belongs to no tenant." })
  tenantId!: string | null;

  @Field(() => AuditActor)
  actor!: AuditActor;

  @Field(() => AuditActionEnum, {
    nullable: true,
    description:
      "READ is a look at the log, START and STOP a process's, or a session's, REQUEST a request that another process reports. Null where it was none of these, or where a call was refused before it was clear which of those declared it would have been.",
  })
  action!: string | null;

  @Field(() => String, {
    description:
      "Such as device.created or device.creation_failed; where which action wasn't clear, group_budget.attempt_denied or .attempt_failed. Always said.",
  })
  eventType!: string;

  @Field(() => AuditOutcomeEnum)
  outcome!: string;

  @Field(() => AuditEntryError, { nullable: true })
  error!: AuditEntryError | null;

  @Field(() => AuditResource, {
    nullable: true,
    description: "What was acted on; null for acts on nothing, such as the start of a process.",
  })
  resource!: AuditResource | null;

  @Field(() => [AuditChange])
  changes!: readonly AuditChange[];

  @Field(() => [AuditAttemptedField], {
    description:
      "Where the outcome isn't SUCCESS: what the arguments asked of tracked and secret fields, by the same names.",
  })
  attempted!: readonly AuditAttemptedField[];

  @Field(() => String, { description: "One sentence for people, made when read from the entry's own columns." })
  description!: () => string;

  @Field(() => String, { nullable: true, description: "The caller's own words on why, where it gave them." })
  reason!: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The mutation's name in the schema, or the query's that read the log; null where neither did it.",
  })
  operation!: string | null;

  @Field(() => ID, { nullable: true, description: "The server's own name for the HTTP request." })
  requestId!: string | null;

  @Field(() => String, { nullable: true, description: "The name that the client gave it." })
  clientRequestId!: string | null;

  @Field(() => ID, { nullable: true })
  sessionId!: string | null;

  @Field(() => BigIntScalar, {
    nullable: true,
    description:
      "Counts the audited operations of one session from 0, without a gap but for those that a repeatedSequenceNumbers names. Null where the session itself is opened or closed.",
  })
  sequenceNumber!: string | null;

  @Field(() => Int, { description: "The place of this entry among those of the same operation, from 0." })
  ordinal!: number;

  @Field(() => String, { nullable: true })
  traceId!: string | null;

  @Field(() => String, { nullable: true })
  ip!: string | null;

  @Field(() => String, { nullable: true })
  userAgent!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The entry of the same operation that brought this one about, as a group's deletion its budget's.",
  })
  causeId!: string | null;

  @Field(() => DateTime, {
    nullable: true,
    description: "When it was, by the clock of the process that wrote it later; null where it was written at once.",
  })
  claimedAt!: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "How many equal attempts beyond those written one by one this entry stands for.",
  })
  repeatCount!: number | null;

  @Field(() => [AuditSequenceRange], { nullable: true, description: "The sequence numbers of those attempts." })
  repeatedSequenceNumbers!: readonly AuditSequenceRange[] | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "True where there may have been more: the process ended before it had counted all, and the next start wrote this.",
  })
  repeatCountIsLeast!: boolean | null;

  @Field(() => AuditAccess, { nullable: true, description: "Where action is READ: what was asked for and given." })
  access!: AuditAccess | null;

  @Field(() => AuditReporter, {
    nullable: true,
    description: "Who reported it; null in every entry of what this API saw itself.",
  })
  reportedBy!: AuditReporter | null;

  @Field(() => AuditCorrelation, {
    nullable: true,
    description:
      "The entry with which another process tells of the same request, as the request said: filter by sessionId and sequenceNumber to find it.",
  })
  correlation!: AuditCorrelation | null;
}

@ObjectType({ simpleResolvers: true })
export class AuditEntryEdge {
  @Field(() => String)
  cursor!: string;

  @Field(() => AuditEntry)
  node!: AuditEntry;
}

@ObjectType({ simpleResolvers: true, description: "Exact up to the cap; at the cap, there are at least so many." })
export class AuditCount {
  @Field(() => Int)
  value!: number;

  @Field(() => Boolean)
  isCapped!: boolean;
}

@ObjectType({ simpleResolvers: true })
export class AuditEntryConnection {
  @Field(() => [AuditEntryEdge])
  edges!: readonly AuditEntryEdge[];

  @Field(() => [AuditEntry])
  nodes!: readonly AuditEntry[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;

  // It may count ten thousand entries of every tenant.
  @Extensions({ complexity: 500 })
  @Field(() => AuditCount, { nullable: true })
  totalCount!: () => Promise<AuditCount | null>;
}
