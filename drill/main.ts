import "reflect-metadata";
import { parseArgs } from "node:util";
import { table } from "../scratch/table.js";
import { progressOf } from "../scratch/progress.js";
import { Cleanup } from "./cleanup.js";
import { attack } from "./attack.js";
import { crash } from "./crash.js";
import { escape } from "./escape.js";
import { outage } from "./outage.js";
import { reports } from "./reports.js";
import type { Drill, DrillOptions } from "./drill.js";

/** sysexits.h: EX_USAGE. */
const USAGE = 64;
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const drills: readonly Drill[] = [crash, outage, attack, escape, reports];

const help = `npm run drill -- NAME [--seed NUMBER] [--kills NUMBER] [--entries NUMBER] [--quick]

Does harm to an API and a PostgreSQL of its own, in a scratch folder, and looks what became of the log. Prints what was
tried and what came of it, and exits with 1 where anything was lost.

${table(
  ["name", "what it does"],
  drills.map(({ name, about }) => [name, about]),
  { texts: 2 },
)}

  --seed NUMBER     decides what chance decides; made up, and printed, so that a run can be repeated
  --kills NUMBER    how often crash kills (100), outage stops (20), and reports kills API and relay (20 each)
  --entries NUMBER  how many entries reports sends, undisturbed and again with faults (1000000)
  --quick           a short run: 5 kills in crash, 4 in outage, 2 and 20000 entries in reports,
                    a part of the lines in attack and escape

On two cores crash, attack and escape take two or three minutes each, reports four, outage seven; with --quick a fraction of that.`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const asked = read(args);
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n`);
    return USAGE;
  }
  const { drill, options } = asked;
  if (!drill) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const cleanup = new Cleanup();
  for (const [signal, number] of Object.entries(signalNumbers))
    process.once(signal, () => void cleanup.run().finally(() => process.exit(128 + number)));
  try {
    process.stdout.write(`${drill.name}: ${drill.about}. Seed ${String(options.seed)}.\n\n`);
    const { text, losses } = await drill.run({ ...options, cleanup, progress: progressOf("drill") });
    const verdict = losses.length === 0 ? "Nothing was lost." : `LOST: ${String(losses.length)}.`;
    process.stdout.write(`${text}\n\n${verdict}\n`);
    return losses.length === 0 ? 0 : 1;
  } finally {
    await cleanup.run();
  }
}

function read(args: string[]): string | { drill: Drill | null; options: DrillOptions } {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        seed: { type: "string" },
        kills: { type: "string" },
        entries: { type: "string" },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const [name] = positionals;
    const drill = drills.find((each) => each.name === name) ?? null;
    if (positionals.length > 1 || (name !== undefined && drill === null))
      return `There is no drill ${positionals.join(" ")}: choose one of ${drills.map((each) => each.name).join(", ")}.`;
    const seed = numberOf(values.seed, "--seed") ?? Math.floor(Math.random() * 2 ** 32);
    const options = {
      seed,
      kills: numberOf(values.kills, "--kills"),
      entries: numberOf(values.entries, "--entries"),
      quick: values.quick,
    };
    return { drill: values.help ? null : drill, options };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function numberOf(text: string | undefined, option: string): number | null {
  if (text === undefined) return null;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`${option} takes a whole number, not ${text}.`);
}
