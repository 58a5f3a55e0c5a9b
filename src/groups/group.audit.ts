import { defineAuditedResource, ignore, track } from "../audit/index.js";
import { Group } from "./group.entity.js";

export const group = defineAuditedResource({
  type: "group",
  entity: Group,
  id: "id",
  tenant: "tenantId",
  label: ({ name }) => name,
  link: (id) => `/groups/${id}`,
  fields: {
    tenantId: ignore("Never changes; the entry itself says whose it is."),
    id: ignore("Never changes; the entry's resource names it."),
    name: track,
    createdAt: ignore("Never changes; the entry of the creation tells when."),
    updatedAt: ignore("Follows every change; the entry tells when."),
  },
});
