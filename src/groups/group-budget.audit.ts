import { defineAuditedResource, ignore, track } from "../audit/index.js";
import { GroupBudget } from "./group-budget.entity.js";

export const groupBudget = defineAuditedResource({
  type: "group_budget",
  entity: GroupBudget,
  id: "groupId",
  tenant: "tenantId",
  label: {
    query: `select "name" from "app"."group" where "tenant_id" = "row"."tenant_id" and "id" = "row"."group_id"`,
  },
  link: (groupId) => `/groups/${groupId}/budget`,
  fields: {
    tenantId: ignore("Never changes; the entry itself says whose it is."),
    groupId: ignore("Never changes; the entry's resource names it."),
    spendLimitMicros: track,
    createdAt: ignore("Never changes; the entry of the creation tells when."),
    updatedAt: ignore("Follows every change; the entry tells when."),
  },
});
