import { defineAuditedResource, ignore, secret, track } from "../audit/index.js";
import { Device } from "./device.entity.js";

export const device = defineAuditedResource({
  type: "device",
  entity: Device,
  id: "id",
  tenant: "tenantId",
  label: ({ name }) => name,
  link: (id) => `/devices/${id}`,
  fields: {
    tenantId: ignore("Never changes; the entry itself says whose it is."),
    id: ignore("Never changes; the entry's resource names it."),
    serialNumber: track,
    name: track,
    status: track,
    firmwareVersion: track,
    provisioningSecret: secret,
    lastSeenAt: ignore("Churn: every heartbeat changes it, and no one decided that."),
    createdAt: ignore("Never changes; the entry of the creation tells when."),
    updatedAt: ignore("Follows every change; the entry tells when."),
  },
});
