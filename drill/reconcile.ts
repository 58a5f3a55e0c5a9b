import { rowsOf } from "../scratch/sql.js";
import type { Attempt } from "./attempt.js";
import { auditedTables, type AuditedTable } from "./audited-tables.js";
import { loggedEntries, type LoggedEntry } from "./log.js";
import { judgeAnswers } from "./reconcile/answers.js";
import { judgeHistories } from "./reconcile/histories.js";
import { judgeNumbers } from "./reconcile/numbers.js";
import { judgeTransactions } from "./reconcile/transactions.js";
import { witnessed, type WitnessedChange } from "./witness.js";

/** What stood at the end: rows, log, what the database saw and what clients were told. */
export interface Evidence {
  readonly tables: readonly AuditedTable[];
  /** By type: the rows as they stand. */
  readonly rows: ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]>;
  readonly entries: readonly LoggedEntry[];
  readonly changes: readonly WitnessedChange[];
  readonly attempts: readonly Attempt[];
}

/** What was compared, and what didn't agree: a sentence for each loss. */
export interface Reconciliation {
  readonly counts: {
    readonly attempts: number;
    readonly answered: number;
    readonly unanswered: number;
    readonly entries: number;
    readonly transactions: number;
    readonly resources: number;
    readonly sessions: number;
    readonly missingNumbers: number;
  };
  /** Changes in the tables that no entry tells truly. */
  readonly changesWithoutEntry: readonly string[];
  /** Entries that tell of changes which nobody made. */
  readonly entriesWithoutChange: readonly string[];
  /** What clients were told and the log doesn't have, or has otherwise. */
  readonly contradictedAnswers: readonly string[];
  /** Numbers missing in a session that no unanswered operation can have had. */
  readonly unexplainedNumbers: readonly string[];
}

/** Reads tables, log and witness, and compares them with each other and with what clients were told. */
export async function reconcile(adminUrl: string, attempts: readonly Attempt[]): Promise<Reconciliation> {
  return judge(await evidenceOf(adminUrl, attempts));
}

export async function evidenceOf(adminUrl: string, attempts: readonly Attempt[]): Promise<Evidence> {
  const tables = auditedTables();
  const rows = new Map<string, Record<string, unknown>[]>();
  for (const { type, name } of tables) {
    const found = await rowsOf<{ row: Record<string, unknown> }>(
      adminUrl,
      `select to_jsonb(it) as row from ${name} it`,
    );
    rows.set(
      type,
      found.map(({ row }) => row),
    );
  }
  return { tables, rows, entries: await loggedEntries(adminUrl), changes: await witnessed(adminUrl), attempts };
}

export function judge(evidence: Evidence): Reconciliation {
  const { attempts, entries, changes } = evidence;
  const histories = judgeHistories(evidence);
  const transactions = judgeTransactions(evidence);
  const answers = judgeAnswers(evidence);
  const numbers = judgeNumbers(evidence);
  const answered = attempts.filter(({ told }) => told !== null).length;
  return {
    counts: {
      attempts: attempts.length,
      answered,
      unanswered: attempts.length - answered,
      entries: entries.length,
      transactions: new Set(changes.map(({ transaction }) => transaction)).size,
      resources: histories.resources,
      sessions: numbers.sessions,
      missingNumbers: numbers.missing,
    },
    changesWithoutEntry: [...transactions.changesWithoutEntry, ...histories.problems],
    entriesWithoutChange: transactions.entriesWithoutChange,
    contradictedAnswers: answers,
    unexplainedNumbers: numbers.problems,
  };
}
