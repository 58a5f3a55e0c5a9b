import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { errorCodes } from "../src/audit/errors.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Every page of the project, by its path from the root. */
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** A page without its code, which links nowhere. */
const prose = (page: string): string => read(page).replace(/^```.*?^```/gms, "");

/** The names under which a page's headings can be linked to, as GitHub makes them. */
const anchorsOf = (page: string): string[] =>
  [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

const linksOf = (page: string): string[] =>
  [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link).filter((link) => !/^[a-z]+:/.test(link));

/** Where a link of a page leads to nothing, as a sentence. */
function brokenLink(page: string, link: string): string[] {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : relative(root, join(root, dirname(page), path));
  if (!existsSync(join(root, target))) return [`${page} links to ${link}: there is no ${target}`];
  if (anchor === undefined || anchorsOf(target).includes(anchor)) return [];
  return [`${page} links to ${link}: ${target} has no such heading`];
}

describe("docs/errors.md", () => {
  const sections = read("docs/errors.md")
    .split(/^## /m)
    .flatMap((section) => {
      const code = /^`([A-Z_]+)`$/m.exec(section.split("\n")[0] ?? "")?.[1];
      return code === undefined ? [] : [{ code, section }];
    });

  it("has a section for each code that a client may see, and for no other", () => {
    expect(sections.map(({ code }) => code)).toEqual(Object.keys(errorCodes));
  });

  it("says of each what to do, and what it leaves in the log", () => {
    for (const { code, section } of sections) {
      expect(section, code).toContain("- What to do:");
      expect(section, code).toMatch(/- In the log: (DENIED|FAILURE)/);
    }
  });
});

describe("the project's pages", () => {
  it("link to pages and headings that are there", () => {
    expect(pages).toContain("README.md");
    expect(pages.flatMap((page) => linksOf(page).flatMap((link) => brokenLink(page, link)))).toEqual([]);
  });

  it("name only scripts that package.json has", () => {
    const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
    const named = [...pages, ".ci/run"].flatMap((page) =>
      [...read(page).matchAll(/npm (?:run (?:--silent )?)([a-z][a-z:-]*)/g)].map(([, script = ""]) => script),
    );
    expect(named).toContain("demo");
    expect([...new Set(named)].filter((script) => !(script in scripts))).toEqual([]);
  });

  it("list every page of docs/decisions among the decisions", () => {
    const listed = linksOf("docs/decisions/README.md").map((link) => join("docs", "decisions", link));
    const there = pages.filter((page) => dirname(page) === join("docs", "decisions"));
    expect(there.filter((page) => !page.endsWith("README.md")).sort()).toEqual(listed.sort());
  });
});

describe("what is generated", () => {
  it("is what the code generates now; `npm run generate` refreshes it", async () => {
    const generator = join(root, "dist", "src", "cli", "generate.js");
    const checked = promisify(execFile)(process.execPath, [generator, "--check"], { cwd: root, timeout: 30_000 });
    await expect(checked).resolves.toMatchObject({ stderr: "" });
  });
});
