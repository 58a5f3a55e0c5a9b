import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * Folding makes one of ẞ, ß and ss. Of all letters ẞ alone has a small one, ß, whose own capital is another, SS: so the small
 * letters have to be made first. What any other letter becomes is as it was.
 *
 * Entries from before keep ß where their label has ẞ: who looks for a label asks for that too.
 */
export class SharpS1795219217000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, foldAs(`lower(upper(lower(label collate "und-x-icu")))`));
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, foldAs(`lower(upper(label collate "und-x-icu"))`));
  }
}

// Its rights stay as they were granted.
const foldAs = (expression: string): string => `
  create or replace function audit.fold(label text) returns text
  language sql immutable parallel safe
  return ${expression}`;
