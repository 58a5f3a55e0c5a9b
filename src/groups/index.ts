import type { Feature } from "../feature.js";
import { groupBudget } from "./group-budget.audit.js";
import { GroupBudget } from "./group-budget.entity.js";
import { GroupBudgetResolver } from "./group-budget.resolver.js";
import { group } from "./group.audit.js";
import { Group } from "./group.entity.js";
import { GroupResolver } from "./group.resolver.js";

/** Groups and what they may spend on AI. */
export const groups: Feature = {
  entities: [Group, GroupBudget],
  resources: [group, groupBudget],
  resolvers: [GroupResolver, GroupBudgetResolver],
};
