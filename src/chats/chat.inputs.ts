import { ArrayMaxSize, IsBoolean, IsEnum, IsInt, IsOptional, IsUUID, Length, ValidateBy } from "class-validator";
import { Field, ID, InputType, Int, JsonObject } from "../graphql.js";
import { IfGiven } from "../validation.js";
import { ChatMode } from "./chat.entity.js";

const MAX_LABELS = 64;
const MAX_LABELS_KIBIBYTES = 16;
const MAX_MCP_SERVERS = 100;

const IsTitle = () => Length(1, 500, { message: "must be 1 to 500 characters long" });
const IsPlanMode = () => Length(0, 100, { message: "must be at most 100 characters long" });
const IsWorkspaceId = () => Length(1, 200, { message: "must be 1 to 200 characters long" });

const IsLabels = () =>
  ValidateBy(
    { name: "isLabels", validator: { validate: isLabels } },
    {
      message: `must be an object of at most ${String(MAX_LABELS)} keys and ${String(MAX_LABELS_KIBIBYTES)} KiB as JSON`,
    },
  );

function isLabels(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const bytes = Buffer.byteLength(JSON.stringify(value));
  return Object.keys(value).length <= MAX_LABELS && bytes <= MAX_LABELS_KIBIBYTES * 1024;
}

const AreMcpServerIds = (): PropertyDecorator => (target, property) => {
  ArrayMaxSize(MAX_MCP_SERVERS, { message: `may hold at most ${String(MAX_MCP_SERVERS)} ids` })(target, property);
  Length(1, 200, { each: true, message: "must hold ids of 1 to 200 characters" })(target, property);
};

/** What creating and changing a chat have in common. */
@InputType()
abstract class ChatSettings {
  @Field(() => JsonObject, { nullable: true })
  @IfGiven()
  @IsLabels()
  labels?: object;

  @Field(() => ChatMode, { nullable: true })
  @IfGiven()
  @IsEnum(ChatMode)
  mode?: ChatMode;

  @Field(() => String, { nullable: true })
  @IsOptional()
  @IsPlanMode()
  planMode?: string | null;

  @Field(() => [ID], { nullable: true })
  @IfGiven()
  @AreMcpServerIds()
  mcpServerIds?: string[];

  @Field(() => ID, { nullable: true })
  @IsOptional()
  @IsWorkspaceId()
  workspaceId?: string | null;
}

@InputType()
export class CreateChatInput extends ChatSettings {
  @Field(() => String)
  @IsTitle()
  title!: string;

  @Field(() => ID, { nullable: true })
  @IsOptional()
  @IsUUID("loose")
  parentChatId?: string | null;
}

@InputType()
export class UpdateChatInput extends ChatSettings {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;

  @Field(() => String, { nullable: true })
  @IfGiven()
  @IsTitle()
  title?: string;

  @Field(() => Boolean, { nullable: true })
  @IfGiven()
  @IsBoolean()
  archived?: boolean;

  @Field(() => Int, { nullable: true })
  @IfGiven()
  @IsInt()
  pinOrder?: number;
}

@InputType()
export class ArchiveChatsInput {
  @Field(() => [ID])
  @IsUUID("loose", { each: true })
  ids!: string[];
}

@InputType()
export class DeleteChatInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;
}
