import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from "typeorm";
import { DateTime, Field, ID, ObjectType } from "../graphql.js";
import { Instant } from "../instant.js";

@ObjectType()
@Entity({ schema: "app", name: "group", synchronize: false })
export class Group {
  @Field(() => ID)
  @PrimaryColumn({ name: "tenant_id", type: "text" })
  tenantId!: string;

  @Field(() => ID)
  @PrimaryGeneratedColumn("uuid")
  id!: string;

  @Field(() => String)
  @Column({ type: "text" })
  name!: string;

  @Field(() => DateTime)
  @Column({ name: "created_at", type: "timestamptz", insert: false, update: false })
  createdAt!: Instant;

  @Field(() => DateTime)
  @Column({ name: "updated_at", type: "timestamptz", insert: false, update: false })
  updatedAt!: Instant;
}
