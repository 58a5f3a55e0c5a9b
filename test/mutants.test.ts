import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
}

const list = new URL("../scripts/mutants/list.mjs", import.meta.url);

it("each fault that is put into the code has one place there", async () => {
  const { mutants } = (await import(list.href)) as { readonly mutants: readonly Mutant[] };
  const places = await Promise.all(
    mutants.map(async ({ name, file, find }) => {
      const source = await readFile(new URL(`../${file}`, import.meta.url), "utf8");
      return [name, source.split(find).length - 1] as const;
    }),
  );
  expect(places.filter(([, count]) => count !== 1)).toEqual([]);
});
