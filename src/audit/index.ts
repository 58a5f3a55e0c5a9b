export { applyAudit } from "./apply-audit.js";
export type { AuditRuntime } from "./audit-runtime.js";
export {
  auditedOperation,
  type BackgroundContext,
  type BackgroundOperation,
  type BackgroundResult,
} from "./audited-operation.js";
export type { AuditContext, Caller, MutationContext, OperationReport } from "./context.js";
export { Audited, Requires, Unaudited, withAuditDirectives, type AuditedDirective } from "./directive.js";
export {
  actorTypes,
  anonymous,
  auditActions,
  auditOutcomes,
  changeActions,
  PLATFORM_TENANT,
  tenantPattern,
  type Actor,
  type RequestOrigin,
} from "./entry.js";
export { AuditError, badUserInput, errorCodes, notFound, type ErrorCode, type FieldProblem } from "./errors.js";
export { FENCE_REFUSED } from "./fence/fence.js";
export { completeness } from "./completeness.js";
export { mutationDecisions, type MutationDecision } from "./mutation-decisions.js";
export type { AuditObserver } from "./observer.js";
export { RefusalLog } from "./refusal-log.js";
export { Registry } from "./registry.js";
export {
  defineAuditedResource,
  ignore,
  secret,
  track,
  trackSet,
  type AuditedResource,
  type FieldPolicy,
  type Visibility,
} from "./resource.js";
export {
  defineReportedResource,
  reportedText,
  type ReportedField,
  type ReportedResource,
} from "./reported-resource.js";
export type { AuditScope } from "./scope.js";
export { roles, type Role } from "./roles.js";
export { Sessions } from "./session.js";
export { PageInfo } from "./page-info.js";
export { AuditSubscriber } from "./subscriber.js";
