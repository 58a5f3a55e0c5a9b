import { Audited, Requires, type AuditContext, type MutationContext } from "../audit/index.js";
import { Arg, Ctx, Extensions, FieldResolver, ID, Mutation, Query, Resolver, Root } from "../graphql.js";
import { ownTenant } from "../tenant.js";
import { uuidArgument } from "../validation.js";
import { GroupBudget } from "./group-budget.entity.js";
import { DeleteGroupBudgetInput, UpsertGroupBudgetInput } from "./group-budget.inputs.js";
import { Group } from "./group.entity.js";

@Resolver(() => GroupBudget)
export class GroupBudgetResolver {
  @Requires("ADMIN", "AUDITOR")
  @Query(() => GroupBudget, { nullable: true })
  groupBudget(@Arg("groupId", () => ID) groupId: string, @Ctx() context: AuditContext): Promise<GroupBudget | null> {
    const key = { tenantId: ownTenant(context), groupId: uuidArgument(groupId, "groupId") };
    return context.manager.findOneBy(GroupBudget, key);
  }

  @Extensions({ complexity: 10 })
  @FieldResolver(() => Group, { nullable: true })
  group(@Root() { tenantId, groupId }: GroupBudget, @Ctx() context: AuditContext): Promise<Group | null> {
    return context.manager.findOneBy(Group, { tenantId, id: groupId });
  }

  @Audited({ resource: "group_budget", action: ["CREATE", "UPDATE"], id: "input.groupId" })
  @Requires("ADMIN")
  @Mutation(() => GroupBudget, { nullable: true })
  async upsertGroupBudget(
    @Arg("input", () => UpsertGroupBudgetInput) { groupId, spendLimitMicros }: UpsertGroupBudgetInput,
    @Ctx() context: MutationContext<GroupBudget | null>,
  ): Promise<unknown> {
    const key = { tenantId: ownTenant(context), groupId };
    const value = { spendLimitMicros: String(spendLimitMicros) };
    if (context.prior) await context.manager.update(GroupBudget, key, value);
    else await context.manager.insert(GroupBudget, { ...key, ...value });
    return context.prior;
  }

  @Audited({ resource: "group_budget", action: "DELETE", id: "input.groupId" })
  @Requires("ADMIN")
  @Mutation(() => GroupBudget, { nullable: true })
  async deleteGroupBudget(
    @Arg("input", () => DeleteGroupBudgetInput) _input: DeleteGroupBudgetInput,
    @Ctx() { manager, prior }: MutationContext<GroupBudget>,
  ): Promise<unknown> {
    await manager.delete(GroupBudget, { tenantId: prior.tenantId, groupId: prior.groupId });
    return prior;
  }
}
