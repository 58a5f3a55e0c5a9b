import { DateTimeRange } from "../date-time-range.js";
import type { ActorType, AuditAction, AuditOutcome } from "../entry.js";
import { BigIntScalar } from "../scalars.js";
import { Field, ID, InputType } from "../type-graphql.js";
import { AuditActionEnum, AuditActorTypeEnum, AuditOutcomeEnum } from "./enums.js";

@InputType({ description: "Entries of requests that came with these places in another process's session." })
export class AuditCorrelationFilter {
  @Field(() => [ID])
  sessionId!: string[];

  @Field(() => [BigIntScalar], { nullable: true })
  sequenceNumber?: bigint[] | null;
}

@InputType({
  description:
    "Fields are ANDed, the values of one list ORed, all compared exactly but for resourceLabel, which ignores case. An unknown value is an error, never an empty condition.",
})
export class AuditLogFilter {
  @Field(() => [ID], { nullable: true, description: '"$platform" for what belongs to no tenant.' })
  tenantId?: string[] | null;

  @Field(() => DateTimeRange, { nullable: true })
  occurredAt?: DateTimeRange | null;

  @Field(() => [AuditActionEnum], { nullable: true })
  action?: AuditAction[] | null;

  @Field(() => [String], { nullable: true })
  eventType?: string[] | null;

  @Field(() => [AuditOutcomeEnum], { nullable: true })
  outcome?: AuditOutcome[] | null;

  @Field(() => [String], { nullable: true })
  errorCode?: string[] | null;

  @Field(() => [String], { nullable: true })
  resourceType?: string[] | null;

  @Field(() => [ID], { nullable: true })
  resourceId?: string[] | null;

  @Field(() => [String], { nullable: true })
  resourceLabel?: string[] | null;

  @Field(() => [ID], { nullable: true })
  actorId?: string[] | null;

  @Field(() => [String], { nullable: true })
  actorName?: string[] | null;

  @Field(() => [AuditActorTypeEnum], { nullable: true })
  actorType?: ActorType[] | null;

  @Field(() => [ID], { nullable: true })
  onBehalfOf?: string[] | null;

  @Field(() => [String], { nullable: true })
  operation?: string[] | null;

  @Field(() => [String], { nullable: true })
  changedField?: string[] | null;

  @Field(() => [ID], { nullable: true })
  requestId?: string[] | null;

  @Field(() => [ID], { nullable: true })
  sessionId?: string[] | null;

  @Field(() => [BigIntScalar], { nullable: true, description: "Beside sessionId alone." })
  sequenceNumber?: bigint[] | null;

  @Field(() => AuditCorrelationFilter, { nullable: true })
  correlation?: AuditCorrelationFilter | null;

  @Field(() => [String], { nullable: true })
  traceId?: string[] | null;

  @Field(() => [String], { nullable: true })
  ip?: string[] | null;
}
