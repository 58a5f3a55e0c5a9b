import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from "typeorm";
import { DateTime, Field, ID, Int, JsonObject, ObjectType, registerEnumType } from "../graphql.js";
import { Instant } from "../instant.js";

export const ChatMode = { ASK: "ASK", AGENT: "AGENT" } as const;
export type ChatMode = keyof typeof ChatMode;
registerEnumType(ChatMode, { name: "ChatMode" });

@ObjectType()
@Entity({ schema: "app", name: "chat", synchronize: false })
export class Chat {
  @Field(() => ID)
  @PrimaryColumn({ name: "tenant_id", type: "text" })
  tenantId!: string;

  @Field(() => ID)
  @PrimaryGeneratedColumn("uuid")
  id!: string;

  @Field(() => ID)
  @Column({ name: "owner_id", type: "text", update: false })
  ownerId!: string;

  // Set by the creation alone, so that no circle can come about.
  @Field(() => ID, { nullable: true })
  @Column({ name: "parent_chat_id", type: "uuid", nullable: true, update: false })
  parentChatId!: string | null;

  @Field(() => String)
  @Column({ type: "text" })
  title!: string;

  @Field(() => Boolean)
  @Column({ type: "boolean" })
  archived!: boolean;

  @Field(() => Int)
  @Column({ name: "pin_order", type: "integer" })
  pinOrder!: number;

  @Field(() => JsonObject)
  @Column({ type: "jsonb" })
  labels!: object;

  @Field(() => ChatMode)
  @Column({ type: "text" })
  mode!: ChatMode;

  @Field(() => String, { nullable: true })
  @Column({ name: "plan_mode", type: "text", nullable: true })
  planMode!: string | null;

  /** A set: without doubles, sorted by code point. */
  @Field(() => [ID])
  @Column({ name: "mcp_server_ids", type: "text", array: true })
  mcpServerIds!: string[];

  @Field(() => ID, { nullable: true })
  @Column({ name: "workspace_id", type: "text", nullable: true })
  workspaceId!: string | null;

  @Field(() => DateTime)
  @Column({ name: "created_at", type: "timestamptz", insert: false, update: false })
  createdAt!: Instant;

  @Field(() => DateTime)
  @Column({ name: "updated_at", type: "timestamptz", insert: false, update: false })
  updatedAt!: Instant;
}
