import { badUserInput, errorCodes, printable, UNSPECIFIED } from "../errors.js";
import { filterColumns, type Condition, type FilterField } from "./filter-columns.js";
import type { RunStatement } from "../reading.js";
import { selectKnown } from "./statements.js";

/** The names that new entries can have, as the code declares them. */
export interface Vocabulary {
  readonly resourceTypes: ReadonlySet<string>;
  readonly eventTypes: ReadonlySet<string>;
  readonly operations: ReadonlySet<string>;
  /** Of every audited resource, those that a change can name: tracked and secret ones. */
  readonly fields: ReadonlySet<string>;
}

/**
 * The values that neither the code nor this reader's log knows are refused, since a misspelt name would otherwise read
 * as "nothing happened". Entries outlive the code: what only they still name can be asked for.
 *
 * @param tenants gives those that the reader may read; called only where a name isn't declared
 * @throws AuditError BAD_USER_INPUT
 */
export async function requireKnown(
  run: RunStatement,
  vocabulary: Vocabulary,
  conditions: readonly Condition[],
  tenants: () => Promise<readonly string[]>,
): Promise<void> {
  const undeclared = conditions.flatMap(({ field, values }): Condition[] => {
    const missing = values.filter((value) => !isDeclared(vocabulary, field, value));
    return missing.length === 0 ? [] : [{ field, values: missing }];
  });
  if (undeclared.length === 0) return;
  const readable = await tenants();
  const problems = [];
  for (const condition of undeclared) {
    const known = new Set((await run<{ value: string }>(selectKnown(condition, readable))).map((row) => row.value));
    for (const value of condition.values) {
      if (known.has(value)) continue;
      problems.push({ field: `filter.${condition.field}`, message: `holds ${printable(value)}, which names nothing` });
    }
  }
  if (problems.length > 0) throw badUserInput(problems);
}

function isDeclared(vocabulary: Vocabulary, field: FilterField, value: string): boolean {
  if (!filterColumns[field].closed) return true;
  switch (field) {
    case "resourceType":
      return vocabulary.resourceTypes.has(value);
    case "eventType":
      return vocabulary.eventTypes.has(value);
    case "operation":
      return vocabulary.operations.has(value);
    case "changedField":
      return vocabulary.fields.has(value);
    case "errorCode":
      return Object.hasOwn(errorCodes, value) || value === UNSPECIFIED;
    default:
      return true;
  }
}
