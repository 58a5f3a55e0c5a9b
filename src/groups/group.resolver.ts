import { Audited, Requires, type AuditContext, type MutationContext } from "../audit/index.js";
import {
  Arg,
  Ctx,
  Extensions,
  Field,
  FieldResolver,
  ID,
  Int,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Root,
} from "../graphql.js";
import { keysetPage, PageInfo, type Page } from "../page.js";
import { ownTenant } from "../tenant.js";
import { given, uuidArgument } from "../validation.js";
import { groupBudget } from "./group-budget.audit.js";
import { GroupBudget } from "./group-budget.entity.js";
import { Group } from "./group.entity.js";
import { CreateGroupInput, DeleteGroupInput, UpdateGroupInput } from "./group.inputs.js";

@ObjectType()
class GroupConnection implements Page<Group> {
  @Field(() => [Group])
  nodes!: Group[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@Resolver(() => Group)
export class GroupResolver {
  @Requires("ADMIN", "AUDITOR")
  @Query(() => Group, { nullable: true })
  group(@Arg("id", () => ID) id: string, @Ctx() context: AuditContext): Promise<Group | null> {
    return context.manager.findOneBy(Group, { tenantId: ownTenant(context), id: uuidArgument(id, "id") });
  }

  @Requires("ADMIN", "AUDITOR")
  @Query(() => GroupConnection)
  groups(
    @Arg("first", () => Int, { defaultValue: 50 }) first: number,
    @Arg("after", () => String, { nullable: true }) after: string | null | undefined,
    @Ctx() context: AuditContext,
  ): Promise<GroupConnection> {
    return keysetPage(context.manager, Group, { tenantId: ownTenant(context) }, { first, after });
  }

  @Extensions({ complexity: 10 })
  @FieldResolver(() => GroupBudget, { nullable: true })
  budget(@Root() { tenantId, id }: Group, @Ctx() context: AuditContext): Promise<GroupBudget | null> {
    return context.manager.findOneBy(GroupBudget, { tenantId, groupId: id });
  }

  @Audited({ resource: "group", action: "CREATE", id: "result.id" })
  @Requires("ADMIN")
  @Mutation(() => Group, { nullable: true })
  async createGroup(
    @Arg("input", () => CreateGroupInput) { name }: CreateGroupInput,
    @Ctx() context: MutationContext,
  ): Promise<unknown> {
    const { identifiers } = await context.manager.insert(Group, { tenantId: ownTenant(context), name });
    return identifiers[0];
  }

  @Audited({ resource: "group", action: "UPDATE", id: "input.id" })
  @Requires("ADMIN")
  @Mutation(() => Group, { nullable: true })
  async updateGroup(
    @Arg("input", () => UpdateGroupInput) { id: _, ...input }: UpdateGroupInput,
    @Ctx() { manager, prior }: MutationContext<Group>,
  ): Promise<unknown> {
    const changes = given(input);
    const { tenantId, id } = prior;
    if (Object.keys(changes).length > 0) await manager.update(Group, { tenantId, id }, changes);
    return prior;
  }

  @Audited({ resource: "group", action: "DELETE", id: "input.id" })
  @Requires("ADMIN")
  @Mutation(() => Group, { nullable: true })
  async deleteGroup(
    @Arg("input", () => DeleteGroupInput) _input: DeleteGroupInput,
    @Ctx() { manager, prior, scope }: MutationContext<Group>,
  ): Promise<unknown> {
    const { tenantId, id } = prior;
    await scope.touch(groupBudget, [id]);
    await manager.delete(GroupBudget, { tenantId, groupId: id });
    await manager.delete(Group, { tenantId, id });
    return prior;
  }
}
