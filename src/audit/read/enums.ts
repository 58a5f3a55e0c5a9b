import { actorTypes, auditActions, auditOutcomes, changeOps } from "../entry.js";
import { enumOf } from "../enum-of.js";
import { registerEnumType } from "../type-graphql.js";

const auditOrders = ["NEWEST_FIRST", "OLDEST_FIRST"] as const;
export type AuditOrder = (typeof auditOrders)[number];

export const AuditActionEnum = enumOf(auditActions);
export const AuditOutcomeEnum = enumOf(auditOutcomes);
export const AuditActorTypeEnum = enumOf(actorTypes);
export const AuditChangeOpEnum = enumOf(changeOps);
export const AuditOrderEnum = enumOf(auditOrders);

registerEnumType(AuditActionEnum, { name: "AuditAction" });
registerEnumType(AuditOutcomeEnum, { name: "AuditOutcome" });
registerEnumType(AuditActorTypeEnum, { name: "AuditActorType" });
registerEnumType(AuditChangeOpEnum, { name: "AuditChangeOp" });
registerEnumType(AuditOrderEnum, { name: "AuditOrder" });
