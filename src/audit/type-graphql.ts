import "reflect-metadata";

/**
 * The one door to type-graphql: it rests on one maintainer, so that moving away from it must be a change of this file
 * and of the decorators that come through it.
 */
export {
  Arg,
  Args,
  Ctx,
  Directive,
  Extensions,
  Field,
  FieldResolver,
  ID,
  Info,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
  Root,
  buildSchema,
  getMetadataStorage,
  type NonEmptyArray,
} from "type-graphql";
