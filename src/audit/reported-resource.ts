import type { ReportedAction } from "./entry.js";
import { track, type FieldPolicy } from "./resource.js";
import { isStorable } from "./text.js";

/** How one member of what is reported becomes fields of the entry: one, or several with policies of their own. */
export interface ReportedField {
  readonly kind: "read";
  /** Every field that it may become, with its policy. */
  policies(name: string): Readonly<Record<string, FieldPolicy>>;
  /**
   * The fields' values; null is no field.
   *
   * @throws TypeError saying what is wrong as the end of a sentence, with nothing of the value
   */
  read(value: unknown, name: string): Readonly<Record<string, unknown>>;
}

/** The declaration of a kind of resource that other processes report on: no table of ours holds it. */
export interface ReportedResource {
  /** Its name in the log and in reports: lower case with underscores. */
  readonly type: string;
  readonly actions: readonly ReportedAction[];
  /** By the name that a report gives a value. */
  readonly members: Readonly<Record<string, ReportedField>>;
  readonly required: readonly string[];
  /** By the name that an entry gives a field. */
  readonly fields: Readonly<Record<string, FieldPolicy>>;
  /** How people know it, from its tracked fields alone. */
  label(fields: Readonly<Record<string, unknown>>): string | null;
}

interface Declaration {
  readonly type: string;
  /** What can be reported of it, one at least. */
  readonly actions: readonly [ReportedAction, ...ReportedAction[]];
  /** A policy takes any JSON value of up to 64 KiB. */
  readonly fields: Readonly<Record<string, FieldPolicy | ReportedField>>;
  /** The members without which a report says too little. */
  readonly required?: readonly string[];
  readonly label?: (fields: Readonly<Record<string, unknown>>) => string | null;
}

/**
 * Declares a kind of resource that other processes may report on; what no one declared is refused.
 *
 * @example
 * const knock = defineReportedResource({ type: "knock", actions: ["REQUEST"], fields: { door: reportedText(40), times: track } });
 * knock.fields; // { door: { kind: "track", as: "value" }, times: { kind: "track", as: "value" } }
 */
export function defineReportedResource(declaration: Declaration): ReportedResource {
  const members = Object.fromEntries(
    Object.entries(declaration.fields).map(([name, field]) => [name, field.kind === "read" ? field : asItIs(field)]),
  );
  return {
    type: declaration.type,
    actions: declaration.actions,
    members,
    required: declaration.required ?? [],
    fields: Object.assign({}, ...Object.entries(members).map(([name, field]) => field.policies(name))) as Readonly<
      Record<string, FieldPolicy>
    >,
    label: declaration.label ?? (() => null),
  };
}

/**
 * A text of at most so many UTF-16 units, not empty.
 *
 * @example
 * reportedText(3).read("abc", "code"); // { code: "abc" }
 */
export function reportedText(longest: number, policy: FieldPolicy = track): ReportedField {
  return {
    kind: "read",
    policies: (name) => ({ [name]: policy }),
    read: (value, name) => ({ [name]: requireText(value, longest) }),
  };
}

/** @throws TypeError where it is no text, empty, too long, or not to be stored */
export function requireText(value: unknown, longest: number): string {
  if (typeof value !== "string") throw new TypeError("isn't a text");
  if (value === "") throw new TypeError("is empty");
  if (value.length > longest) throw new TypeError(`is longer than ${String(longest)} characters`);
  if (!isStorable(value)) throw new TypeError("holds NUL or a lone surrogate");
  return value;
}

const asItIs = (policy: FieldPolicy): ReportedField => ({
  kind: "read",
  policies: (name) => ({ [name]: policy }),
  read: (value, name) => ({ [name]: value }),
});
