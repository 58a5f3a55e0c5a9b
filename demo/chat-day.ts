import type { Callers } from "./callers.js";
import type { Desk } from "./desk.js";
import { added, replaced, type Change, type ExpectedEntry } from "./entry.js";

export async function chatDay(desk: Desk, { admin }: Callers): Promise<void> {
  const id = await desk.attempt("A chat is created", {
    caller: admin,
    operation: "createChat",
    input: { title: "Untitled" },
    expect: (created) => succeeded("created", created, firstState(admin.subject)),
  });
  await desk.attempt("It is given another title", {
    caller: admin,
    operation: "updateChat",
    input: { id, title: "Budget for May" },
    expect: () => succeeded("updated", id, [replaced("title", "Untitled", "Budget for May")]),
  });
  await desk.attempt("It is archived", {
    caller: admin,
    operation: "archiveChats",
    input: { ids: [id] },
    expect: () => succeeded("updated", id, [replaced("archived", false, true)]),
  });
}

/** What the input didn't say is the database's own default, and stands in the entry like the rest. */
const firstState = (ownerId: string): Change[] =>
  added({ ownerId, title: "Untitled", archived: false, pinOrder: 0, labels: {}, mode: "ASK", mcpServerIds: [] });

/** A chat's title is no name to be found by: the label is the beginning of the id. */
function succeeded(verb: "created" | "updated", id: string, changes: Change[]): ExpectedEntry {
  const label = id.slice(0, 8);
  const fields = verb === "updated" ? `: ${changes.map(({ field }) => field).join(", ")}` : "";
  return {
    eventType: `chat.${verb}`,
    outcome: "SUCCESS",
    error: null,
    resource: { type: "chat", id, label },
    changes,
    attempted: [],
    sentence: `${verb} chat ${label}${fields}.`,
  };
}
