import { BigIntScalar } from "./scalars.js";
import { Field, ObjectType } from "./type-graphql.js";

@ObjectType({ simpleResolvers: true, description: "Sequence numbers that follow one another, both ends included." })
export class AuditSequenceRange {
  @Field(() => BigIntScalar)
  first!: string;

  @Field(() => BigIntScalar)
  last!: string;
}
