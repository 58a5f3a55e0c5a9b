import { BigIntScalar, DateTime } from "../scalars.js";
import { AuditSequenceRange } from "../sequence-range.js";
import { Field, ID, Int, ObjectType } from "../type-graphql.js";
import {
  AuditAccess,
  AuditActor,
  AuditAttemptedField,
  AuditChange,
  AuditCorrelation,
  AuditEntryError,
  AuditReporter,
  AuditResource,
} from "./audit-entry-parts.js";
import { AuditActionEnum, AuditOutcomeEnum } from "./enums.js";

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
