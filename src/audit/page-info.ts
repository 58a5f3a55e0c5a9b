import { Field, ObjectType } from "./type-graphql.js";

/**
 * Where a page lies, as Relay says it; the cursors are null where the page is empty.
 *
 * @example
 * const last: PageInfo = { hasNextPage: false, hasPreviousPage: true, startCursor: "MTE", endCursor: "MTI" };
 * last.hasNextPage; // false
 */
@ObjectType({ simpleResolvers: true })
export class PageInfo {
  @Field(() => Boolean)
  hasNextPage!: boolean;

  @Field(() => Boolean)
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true })
  startCursor!: string | null;

  @Field(() => String, { nullable: true })
  endCursor!: string | null;
}
