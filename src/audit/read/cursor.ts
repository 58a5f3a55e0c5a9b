import { bindingOf, type CursorBinding } from "../cursor.js";
import type { ReaderScope } from "../reader-scope.js";
import type { AuditOrder } from "./enums.js";
import type { CheckedFilter } from "./filter.js";

/** What a cursor of the log is good for: one filter in one order, as one reader sees it. */
export function bindCursor(filter: CheckedFilter, order: AuditOrder, scope: ReaderScope): CursorBinding {
  const letter = order === "NEWEST_FIRST" ? "N" : "O";
  return bindingOf(letter, [filter.tenants, filter.from, filter.to, filter.conditions, order, scope]);
}
