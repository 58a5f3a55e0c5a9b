/** The decorators and scalars that features write their types and resolvers with. */
export {
  Arg,
  Ctx,
  Extensions,
  Field,
  FieldResolver,
  ID,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
  Root,
} from "./audit/type-graphql.js";
export { BigIntScalar, DateTime, Json, JsonObject } from "./audit/scalars.js";
