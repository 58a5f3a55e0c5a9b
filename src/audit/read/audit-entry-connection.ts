import { PageInfo } from "../page-info.js";
import { Extensions, Field, Int, ObjectType } from "../type-graphql.js";
import { AuditEntry } from "./audit-entry.js";

@ObjectType({ simpleResolvers: true })
export class AuditEntryEdge {
  @Field(() => String)
  cursor!: string;

  @Field(() => AuditEntry)
  node!: AuditEntry;
}

@ObjectType({ simpleResolvers: true, description: "Exact up to the cap; at the cap, there are at least so many." })
export class AuditCount {
  @Field(() => Int)
  value!: number;

  @Field(() => Boolean)
  isCapped!: boolean;
}

@ObjectType({ simpleResolvers: true })
export class AuditEntryConnection {
  @Field(() => [AuditEntryEdge])
  edges!: readonly AuditEntryEdge[];

  @Field(() => [AuditEntry])
  nodes!: readonly AuditEntry[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;

  // It may count ten thousand entries of every tenant.
  @Extensions({ complexity: 500 })
  @Field(() => AuditCount, { nullable: true })
  totalCount!: () => Promise<AuditCount | null>;
}
