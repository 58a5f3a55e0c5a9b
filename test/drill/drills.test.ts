import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/until.js";

/** A short run makes a cluster, starts the API several times, and does its worst. */
const deadline = 240_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "auditql-test-drill-"));
  // As root, PostgreSQL runs as another user, who has to enter the folder.
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function start(...args: string[]) {
  const child = spawn(process.execPath, [join("dist", "drill", "main.js"), ...args], {
    env: { PATH: process.env["PATH"], TMPDIR: folder },
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { child, said, ended };
}

async function run(...args: string[]) {
  const { said, ended } = start(...args);
  return { code: await ended, ...said };
}

// The other drills' short runs are steps of their own in `.ci/run`: together they take longer than all other tests may.
test(
  "a drill that loses nothing says so, ends with 0 and leaves nothing behind",
  async () => {
    const { code, stdout, stderr } = await run("crash", "--quick", "--seed", "1");
    expect(stdout, stderr).toContain("Nothing was lost.");
    expect(stdout).toContain("Seed 1.");
    expect(code).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  },
  deadline,
);

test(
  "SIGINT ends a drill and takes away what it made",
  async () => {
    const { child, said, ended } = start("crash", "--seed", "1");
    await until(() => said.stderr.includes("kill 1 of 100"), { what: "the first kill", deadline: 60_000 });
    expect(await readdir(folder)).toHaveLength(1);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(await readdir(folder)).toEqual([]);
  },
  deadline,
);

test("without a name, the drills are listed", async () => {
  const { code, stdout } = await run();
  expect(code).toBe(0);
  for (const name of ["crash", "outage", "attack", "escape"])
    expect(stdout).toMatch(new RegExp(`^ +${name} +\\w`, "m"));
});

test.each([
  [["nothing"], "There is no drill nothing: choose one of crash, outage, attack, escape, reports.\n"],
  [["crash", "--kills", "many"], "--kills takes a whole number, not many.\n"],
])("what isn't a drill is refused: %j", async (args, message) => {
  expect(await run(...args)).toEqual({ code: 64, stdout: "", stderr: message });
});
