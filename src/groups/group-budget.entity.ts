import { Column, Entity, PrimaryColumn } from "typeorm";
import { BigIntScalar, DateTime, Field, ID, ObjectType } from "../graphql.js";
import { Instant } from "../instant.js";

@ObjectType({ description: "What a group may spend on AI. It belongs to its group's tenant." })
@Entity({ schema: "app", name: "group_budget", synchronize: false })
export class GroupBudget {
  @PrimaryColumn({ name: "tenant_id", type: "text" })
  tenantId!: string;

  @Field(() => ID)
  @PrimaryColumn({ name: "group_id", type: "uuid" })
  groupId!: string;

  @Field(() => BigIntScalar, { description: "Millionths of a dollar, 0 to 1000000000000." })
  @Column({ name: "spend_limit_micros", type: "bigint" })
  spendLimitMicros!: string;

  @Field(() => DateTime)
  @Column({ name: "created_at", type: "timestamptz", insert: false, update: false })
  createdAt!: Instant;

  @Field(() => DateTime)
  @Column({ name: "updated_at", type: "timestamptz", insert: false, update: false })
  updatedAt!: Instant;
}
