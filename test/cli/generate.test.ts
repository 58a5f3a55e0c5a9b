import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resourcesDocument } from "../../src/cli/resources-document.js";
import { features } from "../../src/features.js";
import { createSchema } from "../../src/schema.js";

const resources = features.flatMap((feature) => feature.resources);
const reported = features.flatMap((feature) => feature.reported ?? []);

describe("the generated document of what is audited", () => {
  it("has a row for each field of each resource, in one of three states, and a reason for what is ignored", async () => {
    const document = await readFile("docs/audited-resources.md", "utf8");
    const states = resources.flatMap(({ type, fields }) => {
      const section = document.split(`\n## ${type}\n`)[1]?.split("\n## ")[0] ?? "";
      return Object.entries(fields).map(([field, policy]) => {
        const row = section.split("\n").find((line) => line.startsWith(`| \`${field}\` |`)) ?? "";
        const [, , state = "", why = ""] = row.split("|").map((cell) => cell.trim());
        expect([type, field, state.split(",")[0]]).toEqual([type, field, policy.kind]);
        expect(why).toBe(
          {
            track: "",
            secret: "That it changed is recorded, no value.",
            ignore: policy.kind === "ignore" && policy.reason,
          }[policy.kind],
        );
        return policy.kind;
      });
    });
    expect([...new Set(states)].sort()).toEqual(["ignore", "secret", "track"]);
  });

  it("follows the code: a policy that changes is another document", async () => {
    const schema = await createSchema(features);
    const document = resourcesDocument(schema, resources, reported);
    expect(document).toBe(await readFile("docs/audited-resources.md", "utf8"));
    const exposed = resources.map((resource) => ({
      ...resource,
      fields: { ...resource.fields, ...("name" in resource.fields && { name: { kind: "secret" } as const }) },
    }));
    expect(resourcesDocument(schema, exposed, reported)).not.toBe(document);
  });
});

describe("npm run generate:check", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "auditql-generate-"));
    for (const path of ["schema.graphql", "docs"]) await cp(path, join(folder, path), { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const generate = (...args: string[]) =>
    new Promise<{ code: number; stderr: string }>((done) => {
      const program = resolve("dist/src/cli/generate.js");
      const child = execFile(
        process.execPath,
        [program, ...args],
        { cwd: folder, timeout: 15_000 },
        (_, __, stderr) => {
          done({ code: child.exitCode ?? -1, stderr });
        },
      );
    });

  it("passes where nothing has drifted, and fails naming each file that has and the command that refreshes it", async () => {
    expect(await generate("--check")).toEqual({ code: 0, stderr: "" });
    const files = ["schema.graphql", "docs/audited-resources.md"];
    const wanted = await Promise.all(files.map((path) => readFile(path, "utf8")));
    for (const path of files) await writeFile(join(folder, path), "drifted");
    const complaints = files.map((path) => `${path} is out of date: run \`npm run generate\` and commit it.\n`);
    expect(await generate("--check")).toEqual({ code: 1, stderr: complaints.join("") });
    expect(await readFile(join(folder, "schema.graphql"), "utf8")).toBe("drifted");
    expect(await generate()).toEqual({ code: 0, stderr: "" });
    expect(await Promise.all(files.map((path) => readFile(join(folder, path), "utf8")))).toEqual(wanted);
    await rm(join(folder, "schema.graphql"));
    expect((await generate("--check")).code).toBe(1);
  });
});
