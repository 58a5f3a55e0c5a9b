import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * What looks into the log by itself follows an index, whatever statistics say.
 *
 * A month's partition is analysed while it is small. A plan made then reads it from end to end, and a connection keeps it
 * until statistics are made anew: a minute later on a busy log, and sixty thousand entries.
 */
export class LooksByIndex1795219218000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, ...alter((setting) => `set ${setting} = off`));
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, ...alter((setting) => `reset ${setting}`));
  }
}

const looks: readonly (readonly [signature: string, settings: readonly string[]])[] = [
  ["unproven(text, text, text, jsonb, text[], text[], bigint)", ["enable_seqscan"]],
  ["named(text, text, text, boolean)", ["enable_seqscan"]],
  ["note_judged(oid, text, text, tid)", ["enable_seqscan"]],
  ["committed_entries(text, uuid, bigint, timestamptz)", ["enable_seqscan"]],
  ["received_numbers(text, uuid, uuid)", ["enable_seqscan"]],
  // Of a join it would make one of all the session's keys.
  [
    "begin_report(uuid, text, text, text, text, text, bigint[], bytea)",
    ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"],
  ],
];

const alter = (change: (setting: string) => string): string[] =>
  looks.map(
    ([signature, settings]) => `alter function audit_guard.${signature} ${settings.map((it) => change(it)).join(" ")}`,
  );
