import type { Caller, Callers } from "./callers.js";
import type { Desk } from "./desk.js";
import { added, asked, removed, replaced, type Change, type ExpectedEntry } from "./entry.js";

const name = "Research";
const field = "spendLimitMicros";
/** Millionths of a dollar. */
const fiveHundred = "500000000";
const fifty = "50000000";
const raised = "900000000";
const tooMuch = "1000000000001";

export async function budgetDay(desk: Desk, { admin, intruder }: Callers): Promise<void> {
  const groupId = await desk.attempt("A group is created", {
    caller: admin,
    operation: "createGroup",
    input: { name },
    expect: (id) => groupEntry("created", id, added({ name })),
  });
  const limit = (title: string, caller: Caller, spendLimitMicros: string, expected: ExpectedEntry) =>
    desk.attempt(title, {
      caller,
      operation: "upsertGroupBudget",
      input: { groupId, spendLimitMicros },
      expect: () => expected,
    });
  await limit("It may spend $500", admin, fiveHundred, succeeded("created", groupId, added({ [field]: fiveHundred })));
  await limit("Someone who may not tries to raise that (FORBIDDEN)", intruder, raised, denied(groupId));
  const cut = [replaced(field, fiveHundred, fifty)];
  await limit("It may spend only $50", admin, fifty, succeeded("updated", groupId, cut));
  await limit("It is set to $50 again, which changes nothing", admin, fifty, succeeded("updated", groupId, []));
  await limit("More than the most fails (BAD_USER_INPUT)", admin, tooMuch, failed(groupId));
  await desk.attempt("The budget is deleted", {
    caller: admin,
    operation: "deleteGroupBudget",
    input: { groupId },
    expect: () => succeeded("deleted", groupId, removed({ [field]: fifty })),
  });
  await desk.attempt("And so is the group", {
    caller: admin,
    operation: "deleteGroup",
    input: { id: groupId },
    expect: () => groupEntry("deleted", groupId, removed({ name })),
  });
}

const groupEntry = (verb: "created" | "deleted", id: string, changes: Change[]): ExpectedEntry => ({
  eventType: `group.${verb}`,
  outcome: "SUCCESS",
  error: null,
  resource: { type: "group", id, label: name },
  changes,
  attempted: [],
  sentence: `${verb} group "${name}".`,
});

function succeeded(verb: "created" | "updated" | "deleted", groupId: string, changes: Change[]): ExpectedEntry {
  const fields = changes.length === 0 ? ", which changed nothing" : `: ${field}`;
  return {
    eventType: `group_budget.${verb}`,
    outcome: "SUCCESS",
    error: null,
    resource: { type: "group_budget", id: groupId, label: name },
    changes,
    attempted: [],
    sentence: `${verb} group budget "${name}"${verb === "updated" ? fields : ""}.`,
  };
}

/** Refused before anything was read: neither the label nor which action it would have been is known, but what was called. */
const denied = (groupId: string): ExpectedEntry => ({
  eventType: "group_budget.attempt_denied",
  outcome: "DENIED",
  error: { code: "FORBIDDEN" },
  resource: { type: "group_budget", id: groupId, label: null },
  changes: [],
  attempted: asked({ [field]: raised }),
  sentence: `was not allowed to call upsertGroupBudget on group budget ${groupId}: FORBIDDEN.`,
});

const failed = (groupId: string): ExpectedEntry => ({
  eventType: "group_budget.update_failed",
  outcome: "FAILURE",
  error: { code: "BAD_USER_INPUT" },
  resource: { type: "group_budget", id: groupId, label: name },
  changes: [],
  attempted: asked({ [field]: tooMuch }),
  sentence: `tried to update group budget "${name}" and failed: BAD_USER_INPUT.`,
});
