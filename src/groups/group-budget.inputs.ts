import { IsUUID, ValidateBy } from "class-validator";
import { BigIntScalar, Field, ID, InputType } from "../graphql.js";

const MAX_SPEND_LIMIT_MICROS = 1_000_000_000_000n;

@InputType()
export class UpsertGroupBudgetInput {
  @Field(() => ID)
  @IsUUID("loose")
  groupId!: string;

  @Field(() => BigIntScalar)
  @ValidateBy(
    {
      name: "isSpendLimit",
      validator: {
        validate: (value: unknown) => typeof value === "bigint" && value >= 0n && value <= MAX_SPEND_LIMIT_MICROS,
      },
    },
    { message: `must be from 0 to ${String(MAX_SPEND_LIMIT_MICROS)}` },
  )
  spendLimitMicros!: bigint;
}

@InputType()
export class DeleteGroupBudgetInput {
  @Field(() => ID)
  @IsUUID("loose")
  groupId!: string;
}
