import { createHash } from "node:crypto";
import { badUserInput } from "./errors.js";

/** What a cursor is good for: one list, of one filter in one order, as one reader sees it. */
export interface CursorBinding {
  /** N and O are the log's two orders, S is the list of sessions. */
  readonly list: "N" | "O" | "S";
  readonly digest: string;
}

/** @param asked all that decides what the list holds */
export function bindingOf(list: CursorBinding["list"], asked: readonly unknown[]): CursorBinding {
  const digest = createHash("sha256").update(JSON.stringify(asked)).digest("base64url").slice(0, 22);
  return { list, digest };
}

const VERSION = "1";
const content = /^1\.([NOS])\.([0-9a-f]{32})\.([A-Za-z0-9_-]{22})$/;

/** The place of an id in the list that the binding describes; opaque to clients. */
export function encodeCursor(id: string, { list, digest }: CursorBinding): string {
  const text = [VERSION, list, id.replaceAll("-", ""), digest].join(".");
  return Buffer.from(text, "latin1").toString("base64url");
}

/**
 * The id that a cursor stands for.
 *
 * @param argument its name, for the error
 * @throws AuditError BAD_USER_INPUT where it is malformed, or was given for another filter, order or reader
 */
export function decodeCursor(cursor: string, argument: "after" | "before", { list, digest }: CursorBinding): string {
  const text = cursor.length <= 128 ? Buffer.from(cursor, "base64url").toString("latin1") : "";
  const match = content.exec(text);
  // Buffer skips what isn't base64url: only what it would write itself was a cursor.
  if (!match || Buffer.from(text, "latin1").toString("base64url") !== cursor) {
    throw badUserInput([{ field: argument, message: "isn't a cursor of this list" }]);
  }
  const [, letter, id = "", bound] = match;
  if (letter !== list || bound !== digest) {
    const message = "is a cursor of another filter or order: start again without it";
    throw badUserInput([{ field: argument, message }]);
  }
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
