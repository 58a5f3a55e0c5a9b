import { DateTime } from "./scalars.js";
import { Field, InputType } from "./type-graphql.js";

@InputType({ description: "From inclusive, to exclusive." })
export class DateTimeRange {
  @Field(() => DateTime, { nullable: true })
  from?: string | null;

  @Field(() => DateTime, { nullable: true })
  to?: string | null;
}
