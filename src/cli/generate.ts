import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import "reflect-metadata";
import { features } from "../features.js";
import { createSchema, printedSchema } from "../schema.js";
import { resourcesDocument } from "./resources-document.js";

/** Writes the files that are generated and committed; with `--check`, only says which of them are out of date. */
async function main(): Promise<void> {
  const schema = await createSchema(features);
  const files = {
    "schema.graphql": printedSchema(schema),
    "docs/audited-resources.md": resourcesDocument(
      schema,
      features.flatMap((feature) => feature.resources),
      features.flatMap((feature) => feature.reported ?? []),
    ),
  };
  const checking = process.argv.includes("--check");
  for (const [path, wanted] of Object.entries(files)) {
    // One that isn't there yet is out of date.
    const found = await readFile(resolve(path), "utf8").catch(() => null);
    if (found === wanted) continue;
    if (!checking) await writeFile(resolve(path), wanted);
    else {
      process.stderr.write(`${path} is out of date: run \`npm run generate\` and commit it.\n`);
      process.exitCode = 1;
    }
  }
}

await main();
