import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const inRoot = (...parts) => join(root, ...parts);
const installStamp = inRoot("node_modules", ".auditql-install");
const compileStamp = inRoot("dist", ".auditql-compile");
const lockFile = inRoot("dist", ".auditql-prepare");
const waitDeadline = 5 * 60_000;

/** Something has to be mended by who started this; the process ends with `exitCode`. */
class PrepareError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Installs the packages and compiles the sources, each only where it is missing or no longer fits.
 *
 * One process at a time does so, others wait for it. A signal ends what it started, and then this process.
 */
export async function prepare() {
  checkNode();
  if (isInstalled() && isCompiled()) return;
  const release = await takeTurn();
  try {
    if (!isInstalled()) await install();
    if (!isCompiled()) await compile();
  } finally {
    release();
  }
}

/** Does `work`, and ends the process with a message and an exit code where that can't go on. */
export async function orExit(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    say(error.message);
    process.exit(error.exitCode);
  }
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new PrepareError(`Node.js 20.19 or later is needed, and this is ${process.versions.node}.`, 78);
}

function isInstalled() {
  if (!existsSync(inRoot("node_modules", ".package-lock.json"))) return false;
  const wanted = installHash();
  if (readIfThere(installStamp) === wanted) return true;
  // Installed by hand since: npm's own record of what lies there tells whether it fits.
  if (!fitsLock()) return false;
  writeStamp(installStamp, wanted);
  return true;
}

/** What npm recorded against what the lock file asks for; what is optional may be left out for another platform. */
function fitsLock() {
  try {
    const { packages: wanted } = JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8"));
    const { packages: found } = JSON.parse(readFileSync(inRoot("node_modules", ".package-lock.json"), "utf8"));
    return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
      if (path === "") return true;
      if (found[path] === undefined) return Boolean(optional || devOptional);
      return found[path].version === version;
    });
  } catch {
    return false;
  }
}

async function install() {
  say("installing packages (npm ci) ...");
  const npm = process.env.npm_execpath;
  // npm installs nothing for development where NODE_ENV is production, and the compiler is among that.
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const [program, first] = npm?.endsWith("npm-cli.js") ? [process.execPath, [npm]] : ["npm", []];
  await run(program, [...first, ...args], "The packages couldn't be installed");
  writeStamp(installStamp, installHash());
}

function isCompiled() {
  const sources = listSources();
  if (sources.some((source) => !existsSync(outputOf(source)))) return false;
  return readIfThere(compileStamp) === compileHash(sources);
}

async function compile() {
  say("compiling ...");
  const sources = listSources();
  const hash = compileHash(sources);
  rmSync(compileStamp, { force: true });
  // The compiler remembers what it wrote, and doesn't look whether it is still there.
  if (sources.some((source) => !existsSync(outputOf(source)))) rmSync(inRoot("dist", ".tsbuildinfo"), { force: true });
  removeStaleOutputs(new Set(sources.map(outputOf)));
  const compiler = inRoot("node_modules", "typescript", "bin", "tsc");
  await run(process.execPath, [compiler, "-p", root], "The sources don't compile");
  writeStamp(compileStamp, hash);
}

/** The sources that tsconfig.json includes, in order. */
function listSources() {
  const { include } = JSON.parse(readFileSync(inRoot("tsconfig.json"), "utf8"));
  const files = include.flatMap((folder) => listFiles(inRoot(folder)));
  return files.filter((file) => /(?<!\.d)\.ts$/.test(file)).sort();
}

function outputOf(source) {
  return inRoot("dist", relative(root, source).replace(/\.ts$/, ".js"));
}

/** What a deleted source left behind would still be imported, found as a test, or run as a migration. */
function removeStaleOutputs(outputs) {
  for (const file of listFiles(inRoot("dist"))) {
    const output = file.replace(/(\.js\.map|\.d\.ts)$/, ".js");
    if (output.endsWith(".js") && !outputs.has(output)) rmSync(file, { force: true });
  }
}

function listFiles(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function installHash() {
  const platform = `${process.platform}-${process.arch}`;
  return createHash("sha256")
    .update(platform)
    .update(readFileSync(inRoot("package-lock.json")))
    .digest("hex");
}

function compileHash(sources) {
  const hash = createHash("sha256")
    .update(installHash())
    .update(readFileSync(inRoot("tsconfig.json")));
  for (const source of sources) hash.update(`\0${relative(root, source)}\0`).update(readFileSync(source));
  return hash.digest("hex");
}

/** A signal is handed to the child with all that it started; once they have ended, this process ends by it too. */
async function run(program, args, failure) {
  const child = spawn(program, args, { cwd: root, stdio: ["ignore", 2, 2], detached: true });
  let received;
  const hand = (signal) => {
    // Who asks twice won't wait.
    endGroup(child.pid, received ? "SIGKILL" : signal);
    received ??= signal;
    setTimeout(() => endGroup(child.pid, "SIGKILL"), 1_500).unref();
  };
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"];
  for (const signal of signals) process.on(signal, hand);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new PrepareError(`${failure}: ${program} can't be run (${error.code}).`)));
    child.once("exit", (...how) => resolve(how));
  });
  for (const each of signals) process.off(each, hand);
  if (received) throw new PrepareError(`stopped by ${received}`, 128 + constants.signals[received]);
  // What it was has been said by the program itself, unless something ended it.
  if (code !== 0) throw new PrepareError(signal ? `${failure}: ${program} was ended by ${signal}.` : `${failure}.`);
}

function endGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Waits until no other process prepares this folder; answers what lets the next one go on. */
async function takeTurn() {
  mkdirSync(dirname(lockFile), { recursive: true });
  const end = performance.now() + waitDeadline;
  for (let waits = 0; !takeLock(); waits++) {
    const holder = Number(readIfThere(lockFile));
    if (holder && !isRunning(holder)) rmSync(lockFile, { force: true });
    else if (waits === 0) say(`waiting for process ${holder}, which prepares this folder ...`);
    if (performance.now() > end) {
      throw new PrepareError(`Process ${holder} has been preparing for minutes: end it, or remove ${lockFile}.`);
    }
    await delay(50 + Math.random() * 100);
  }
  return () => rmSync(lockFile, { force: true });
}

/** A link makes the lock appear with its content, so that no one reads one that names nobody. */
function takeLock() {
  const draft = `${lockFile}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, String(process.pid));
  try {
    linkSync(draft, lockFile);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function isRunning(pid) {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function writeStamp(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function say(message) {
  process.stderr.write(`auditql: ${message}\n`);
}

// As a command of its own: node scripts/prepare.mjs
if (process.argv[1] === fileURLToPath(import.meta.url)) await orExit(prepare);
