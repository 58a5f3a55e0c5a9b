import { createHash } from "node:crypto";
import { badUserInput } from "../errors.js";
import type { CheckedFilter } from "./filter.js";
import type { ReaderScope } from "./reader-scope.js";
import type { AuditOrder } from "./types.js";

/** What a cursor is good for: one filter in one order, as one reader sees it. */
export interface CursorBinding {
  readonly order: AuditOrder;
  readonly digest: string;
}

export function bindCursor(filter: CheckedFilter, order: AuditOrder, scope: ReaderScope): CursorBinding {
  const text = JSON.stringify([filter.tenants, filter.from, filter.to, filter.conditions, order, scope]);
  return { order, digest: createHash("sha256").update(text).digest("base64url").slice(0, 22) };
}

const VERSION = "1";
const content = /^1\.([NO])\.([0-9a-f]{32})\.([A-Za-z0-9_-]{22})$/;

const letterOf = (order: AuditOrder): string => (order === "NEWEST_FIRST" ? "N" : "O");

/** The place of an entry in the list that the binding describes; opaque to clients. */
export function encodeCursor(id: string, { order, digest }: CursorBinding): string {
  const text = [VERSION, letterOf(order), id.replaceAll("-", ""), digest].join(".");
  return Buffer.from(text, "latin1").toString("base64url");
}

/**
 * The id of the entry that a cursor stands for.
 *
 * @param argument its name, for the error
 * @throws AuditError BAD_USER_INPUT where it is malformed, or was given for another filter, order or reader
 */
export function decodeCursor(cursor: string, argument: "after" | "before", { order, digest }: CursorBinding): string {
  const text = cursor.length <= 128 ? Buffer.from(cursor, "base64url").toString("latin1") : "";
  const match = content.exec(text);
  // Buffer skips what isn't base64url: only what it would write itself was a cursor.
  if (!match || Buffer.from(text, "latin1").toString("base64url") !== cursor) {
    throw badUserInput([{ field: argument, message: "isn't a cursor of this list" }]);
  }
  const [, letter, id = "", bound] = match;
  if (letter !== letterOf(order) || bound !== digest) {
    const message = "is a cursor of another filter or order: start again without it";
    throw badUserInput([{ field: argument, message }]);
  }
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
