import { IsUUID } from "class-validator";
import { Field, ID, InputType } from "../graphql.js";
import { IfGiven, IsName } from "../validation.js";

@InputType()
export class CreateGroupInput {
  @Field(() => String)
  @IsName()
  name!: string;
}

@InputType()
export class UpdateGroupInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;

  @Field(() => String, { nullable: true })
  @IfGiven()
  @IsName()
  name?: string;
}

@InputType()
export class DeleteGroupInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;
}
