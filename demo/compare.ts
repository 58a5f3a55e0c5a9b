import { isDeepStrictEqual } from "node:util";
import type { Done } from "./desk.js";
import type { Entry } from "./entry.js";
import { DemoFailure } from "./failure.js";

/** @throws DemoFailure naming everything in which the log and what was done differ */
export function compare(entries: readonly Entry[], done: readonly Done[]): void {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const differences = done.flatMap((it) => {
    const found = byId.get(it.entryId);
    return found === undefined ? [`${it.entryId} is missing`] : differencesOf(found, it);
  });
  if (differences.length > 0) throw new DemoFailure(`The log isn't what was done:\n  ${differences.join("\n  ")}`);
}

function differencesOf(entry: Entry, { entryId, caller, expected }: Done): string[] {
  const { sentence, ...columns } = expected;
  const problems = Object.entries({ id: entryId, ...columns }).flatMap(([name, wanted]) => {
    const found: unknown = entry[name as keyof Entry];
    return isDeepStrictEqual(found, wanted)
      ? []
      : [`${entryId} ${name}: expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`];
  });
  if (!entry.description.endsWith(` ${sentence}`))
    problems.push(`${entryId} description: expected "… ${sentence}", found "${entry.description}"`);
  if (![entry.actor.id, entry.actor.onBehalfOf].includes(caller.subject))
    problems.push(`${entryId} actor: expected ${caller.subject}, found ${JSON.stringify(entry.actor)}`);
  return problems;
}
