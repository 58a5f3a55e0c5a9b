import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutants } from "./mutants/list.mjs";
import { orExit, prepare, root } from "./prepare.mjs";

const compileDeadline = 120_000;
const testDeadline = 240_000;
const made = "src/audit/self-check/made.ts";
const copied = [
  "drill",
  "scratch",
  "src",
  "migrations",
  "test",
  "scripts",
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
  "schema.graphql",
];

/** Runs a program in the folder; its exit code, or null past the deadline, when it is ended. */
function run(folder, deadline, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    const said = [];
    child.stdout.on("data", (data) => said.push(data));
    child.stderr.on("data", (data) => said.push(data));
    const timer = setTimeout(() => child.kill("SIGTERM"), deadline);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, said: Buffer.concat(said).toString() });
    });
  });
}

async function compile(folder) {
  const { code, said } = await run(folder, compileDeadline, "node_modules/typescript/bin/tsc", "-p", ".");
  if (code !== 0) throw new Error(`It doesn't compile:\n${said}`);
}

/** The tests that failed by an assertion, which is what finds a fault; a crash of the set-up finds none. */
async function failedAssertions(folder, tests) {
  const report = join(folder, "report.json");
  await rm(report, { force: true });
  const { said } = await run(
    folder,
    testDeadline,
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=json",
    `--outputFile=${report}`,
    ...tests,
  );
  const text = await readFile(report, "utf8").catch(() => {
    throw new Error(`The tests left no report:\n${said}`);
  });
  const results = JSON.parse(text).testResults.flatMap((file) => file.assertionResults);
  if (results.length === 0) throw new Error(`No test ran:\n${said}`);
  return results
    .filter(
      ({ status, failureMessages }) =>
        status === "failed" && failureMessages.some((it) => it.startsWith("AssertionError")),
    )
    .map(({ fullName }) => fullName);
}

/** What the start compares the database with follows a migration: else the start finds its fault before any test does. */
async function writeMade(folder) {
  const { code, said } = await run(folder, compileDeadline, "scripts/write-made.mjs");
  if (code !== 0) throw new Error(`What the migrations make can't be written:\n${said}`);
  await compile(folder);
}

async function judge(folder, { file, find, replace, tests, survives }) {
  const [path, madePath] = [join(folder, file), join(folder, made)];
  const [source, madeSource] = await Promise.all([readFile(path, "utf8"), readFile(madePath, "utf8")]);
  if (source.split(find).length !== 2) return { good: false, why: `its place in ${file} isn't there exactly once` };
  try {
    await writeFile(
      path,
      source.replace(find, () => replace),
    );
    await compile(folder);
    if (file.startsWith("migrations/")) await writeMade(folder);
    const found = await failedAssertions(folder, tests);
    if (survives)
      return { good: found.length === 0, why: found.length === 0 ? "survives, as it must" : `found by ${found[0]}` };
    return { good: found.length > 0, why: found.length > 0 ? `found by: ${found[0]}` : "SURVIVES" };
  } catch (error) {
    return { good: false, why: error.message.split("\n").slice(0, 12).join("\n") };
  } finally {
    await writeFile(path, source);
    await writeFile(madePath, madeSource);
  }
}

await orExit(prepare);
const wanted = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), "auditql-mutants-"));
let missed = 0;
try {
  for (const name of copied) await cp(join(root, name), join(folder, name), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const chosen = mutants.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
  for (const mutant of chosen) {
    const { good, why } = await judge(folder, mutant);
    if (!good) missed++;
    console.log(`${good ? "✓" : "✗"} ${mutant.name}\n    ${why}`);
  }
  console.log(`${chosen.length - missed} of ${chosen.length} as they must be`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;
