import { BigIntScalar, Json, JsonObject } from "../scalars.js";
import { Field, ID, Int, ObjectType } from "../type-graphql.js";
import { AuditActorTypeEnum, AuditChangeOpEnum } from "./enums.js";

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
