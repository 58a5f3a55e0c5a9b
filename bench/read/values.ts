import type { FilterField } from "../../src/audit/read/filter-columns.js";

/** Few entries have a correlation, and numbers are asked for beside a session alone. */
type BenchedField = Exclude<FilterField, "sequenceNumber" | "correlationSessionId" | "correlationSequenceNumber">;

/** What many entries have of every field, a tenth or more of each tenant's; of a request a hundred. */
export const COMMON = {
  requestId: "0c000000-0000-4000-8000-000000000001",
  traceId: "c0000000000000000000000000000001",
  resourceId: "0c000000-0000-4000-8000-000000000002",
  resourceLabel: "Sensor",
  ip: "10.0.0.1",
  onBehalfOf: "owner",
  actorId: "u-common",
  actorName: "User u-common",
  sessionId: "0c000000-0000-4000-8000-000000000003",
  errorCode: "NOT_FOUND",
  changedField: "name",
  operation: "updateDevice",
  eventType: "device.updated",
  resourceType: "device",
  outcome: "SUCCESS",
  actorType: "USER",
  action: "UPDATE",
} as const satisfies Record<BenchedField, string>;

/** What twenty entries have, whatever the log's size. */
export const RARE = {
  requestId: "0a000000-0000-4000-8000-000000000001",
  traceId: "a0000000000000000000000000000001",
  resourceId: "0a000000-0000-4000-8000-000000000002",
  resourceLabel: "Odd one",
  ip: "10.9.9.9",
  onBehalfOf: "stranger",
  actorId: "u-rare",
  actorName: "Rare User",
  sessionId: "0a000000-0000-4000-8000-000000000003",
  errorCode: "CONFLICT",
  changedField: "firmwareVersion",
  operation: "updateGroup",
  eventType: "device.created",
  resourceType: "group",
  outcome: "DENIED",
  actorType: "SERVICE",
  action: "DELETE",
} as const satisfies Record<BenchedField, string>;

/**
 * What no entry has. Of names that the code declares one that no one has used: others are refused. An outcome that is
 * none's can't be had beside a common and a rare one and errors of every kind: so few there are.
 */
export const ABSENT = {
  requestId: "0d000000-0000-4000-8000-000000000001",
  traceId: "d0000000000000000000000000000001",
  resourceId: "0d000000-0000-4000-8000-000000000002",
  resourceLabel: "No such label",
  ip: "10.8.8.8",
  onBehalfOf: "nobody",
  actorId: "u-absent",
  actorName: "No such user",
  sessionId: "0d000000-0000-4000-8000-000000000003",
  errorCode: "TIMEOUT",
  changedField: "title",
  operation: "createChat",
  eventType: "chat.created",
  resourceType: "chat",
  outcome: null,
  actorType: "DATABASE",
  action: "CREATE",
} as const satisfies Record<BenchedField, string | null>;

export const RARE_FIELDS = Object.keys(RARE) as (keyof typeof RARE)[];
