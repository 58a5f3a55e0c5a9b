import type { EntryRow } from "./entry-row.js";

/**
 * The columns that a description is made of. Values aren't among them, since they may be secret to some readers, but for how
 * many rows were changed in bulk.
 */
export type Described = Pick<
  EntryRow,
  | "actor_type"
  | "actor_id"
  | "actor_name"
  | "on_behalf_of"
  | "subsystem"
  | "action"
  | "event_type"
  | "outcome"
  | "error_code"
  | "resource_type"
  | "resource_id"
  | "resource_label"
  | "operation"
  | "repeat_count"
  | "repeat_count_is_least"
  | "access"
  | "reported_by"
  | "reason"
> & { readonly changes: readonly { readonly field: string; readonly new?: unknown }[] };

const MAX_FIELDS = 8;
const MAX_TEXT = 120;

/**
 * One sentence for people on what an entry says, from its own columns alone: it stays the same after a rename, a
 * deletion, and the retirement of the resource's type. What was done, what failed and what was refused never read alike,
 * nor does an entry that stands for many, nor one that another process reported.
 */
export function describe(entry: Described): string {
  const { repeat_count: count, outcome, reported_by: reporter } = entry;
  if (reporter !== null) return `Reported by ${plain(reporter)}: ${sentence(entry)}`;
  if (count === null) return sentence(entry);
  const noun = outcome === "SUCCESS" ? "time" : "attempt";
  return `${entry.repeat_count_is_least ? "At least " : ""}${String(count)} more ${noun}${count === 1 ? "" : "s"}: ${sentence(entry)}`;
}

function sentence(entry: Described): string {
  const who = actor(entry);
  switch (entry.outcome) {
    case "SUCCESS":
      return `${who} ${done(entry)}.`;
    case "DENIED":
      return `${who} was not allowed to ${attempted(entry)}: ${entry.error_code ?? "refused"}.`;
    default:
      return `${who} tried to ${attempted(entry)} and failed: ${entry.error_code ?? "unknown error"}.`;
  }
}

function actor(entry: Described): string {
  const name = plain(entry.actor_name ?? entry.actor_id);
  // Who reports has just been named.
  if (name !== null && name === plain(entry.reported_by)) return reporting(entry);
  switch (entry.actor_type) {
    case "USER":
      return `${name ?? "A user"}${representing(entry)}`;
    case "SERVICE":
      return `${name ?? "A service"}${representing(entry)}`;
    case "SYSTEM":
      if (entry.resource_type === "api") return api(entry);
      return `The system (${plain(entry.subsystem) ?? "unnamed part"})`;
    case "DATABASE":
      return name === null ? "Someone with direct access to the database" : `The database login ${name}`;
    case "ANONYMOUS":
      return "An unidentified caller";
    default:
      return name ?? "Someone";
  }
}

const reporting = ({ on_behalf_of: whom }: Described): string =>
  whom === null ? "it" : `it, on behalf of ${plain(whom)},`;

/** The program itself, by its label: where it runs, and of which version. */
const api = ({ resource_label: label }: Described): string =>
  label === null ? "The API" : `The API on ${plain(label)},`;

const representing = ({ on_behalf_of: whom }: Described): string =>
  whom === null ? "" : ` on behalf of ${plain(whom)}`;

const pastTense: Readonly<Record<string, string>> = {
  CREATE: "created",
  UPDATE: "updated",
  DELETE: "deleted",
  START: "started",
  STOP: "stopped",
  REQUEST: "made",
};
const infinitive: Readonly<Record<string, string>> = {
  CREATE: "create",
  UPDATE: "update",
  DELETE: "delete",
  READ: "read",
  START: "start",
  STOP: "stop",
  REQUEST: "make",
};

function done(entry: Described): string {
  if (entry.action === "READ") return read(entry);
  const rows = rowsInBulk(entry);
  const verb = entry.action === null ? undefined : pastTense[entry.action];
  if (verb === undefined)
    return `did ${plain(entry.event_type)}${entry.resource_type === null ? "" : ` to ${resource(entry)}`}`;
  if (entry.actor_type === "SYSTEM" && entry.resource_type === "api") return verb;
  if (rows !== null) return `${verb} ${rows} of ${kindOf(entry)} in bulk${why(entry)}`;
  return `${verb} ${resource(entry)}${entry.action === "UPDATE" ? fields(entry) : ""}`;
}

/** Such as `1 row`, where the entry is that of one statement on a whole table; null for all others. */
function rowsInBulk({ actor_type: type, resource_id: id, changes: [first] }: Described): string | null {
  if (type !== "DATABASE" || id !== null || first?.field !== "rows" || typeof first.new !== "number") return null;
  return `${String(first.new)} row${first.new === 1 ? "" : "s"}`;
}

const why = ({ reason }: Described): string => (reason === null ? "" : `: ${plain(reason).replace(/\.$/, "")}`);

function read({ access, resource_id: id, operation }: Described): string {
  const rows = access?.rows ?? 0;
  if (operation === "auditSessions")
    return `looked at ${rows === 0 ? "no" : String(rows)} session${rows === 1 ? "" : "s"} of the log`;
  if (id !== null) return rows > 0 ? `read entry ${plain(id)} of the log` : `looked for entry ${plain(id)} in the log`;
  // A platform auditor's looks stand in the platform's log too, whatever they were given.
  if (rows === 0) return "searched the log and was given none of its entries";
  return `read ${String(rows)} ${rows === 1 ? "entry" : "entries"} of the log`;
}

function attempted(entry: Described): string {
  if (entry.action === "READ") return "read the log";
  if (entry.resource_type === null) return `do ${plain(entry.event_type)}`;
  const verb = entry.action === null ? undefined : infinitive[entry.action];
  return `${verb ?? called(entry)} ${resource(entry)}`;
}

/** Of several actions it isn't known which it would have been. */
const called = ({ operation }: Described): string => (operation === null ? "act on" : `call ${plain(operation)} on`);

const kindOf = ({ resource_type: type }: Described): string => plain(type)?.replaceAll("_", " ") ?? "something";

function resource(entry: Described): string {
  const { resource_type: type, resource_id: id, resource_label: label } = entry;
  const kind = kindOf(entry);
  // The beginning of an id is no title.
  if (label !== null && label !== "" && id?.startsWith(label)) return `${kind} ${plain(label)}`;
  if (label !== null) return `${kind} "${plain(label)}"`;
  if (id !== null) return `${kind} ${plain(id)}`;
  return type === null ? kind : `${/^[aeiou]/i.test(kind) ? "an" : "a"} ${kind}`;
}

function fields({ changes }: Described): string {
  if (changes.length === 0) return ", which changed nothing";
  const named = changes.slice(0, MAX_FIELDS).map(({ field }) => plain(field));
  const more = changes.length - named.length;
  return `: ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Without what would break the line or turn the direction of the sentence around it, and not too long. */
function plain(text: string): string;
function plain(text: string | null): string | null;
function plain(text: string | null): string | null {
  if (text === null) return null;
  const harmless = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu, "\uFFFD");
  const characters = Array.from(harmless);
  return characters.length <= MAX_TEXT ? harmless : `${characters.slice(0, MAX_TEXT).join("")}…`;
}
