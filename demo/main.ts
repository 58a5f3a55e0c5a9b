/** An admin's day against a running server, and what the log says of it; ends with 1 where that isn't what was done. */
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { Command, CommanderError } from "commander";
import { DevelopmentKeyError } from "../src/auth/development-key.js";
import { developmentCallers, givenCallers, type Callers } from "./callers.js";
import { Client } from "./client.js";
import { compare } from "./compare.js";
import { adminsDay } from "./day.js";
import { Desk } from "./desk.js";
import { DemoFailure } from "./failure.js";
import { readLog } from "./read-log.js";
import { table } from "./table.js";

interface Options {
  readonly url: string;
  readonly adminToken?: string;
  readonly auditorToken?: string;
}

/** sysexits.h: EX_USAGE. */
const usageExitCode = 64;
const defaultUrl = "http://127.0.0.1:4000/graphql";

function options(args: readonly string[]): Options {
  return new Command("npm run demo --")
    .description("An admin's day against a running server, then the same as the auditor sees it.")
    .option("--url <url>", "the server's GraphQL endpoint", defaultUrl)
    .option("--admin-token <token>", "an admin's token; one is made by the key in DATA_DIR where none is given")
    .option("--auditor-token <token>", "the token of an auditor of the same tenant")
    .exitOverride()
    .parse(args, { from: "user" })
    .opts<Options>();
}

function callersOf({ adminToken, auditorToken }: Options): Callers | Promise<Callers> {
  if (adminToken === undefined && auditorToken === undefined)
    return developmentCallers(resolve(process.env["DATA_DIR"] || ".data"));
  if (adminToken !== undefined && auditorToken !== undefined) return givenCallers(adminToken, auditorToken);
  throw new DemoFailure("--admin-token and --auditor-token belong together: give both or neither.");
}

async function demonstrate(given: Options, print: (line: string) => void): Promise<void> {
  const callers = await callersOf(given);
  const client = new Client(given.url, randomBytes(16).toString("hex"));
  print(`An admin's day at ${given.url}, each step with the id of the entry that it left:\n`);
  const desk = new Desk(client, print);
  await adminsDay(desk, callers);
  const entries = await readLog(client, callers.auditor, desk.done.length);
  print(`\nThe same as the auditor sees it, auditLogs(filter: { traceId: ["${client.traceId}"] }):\n`);
  print(table(entries));
  compare(entries, desk.done);
  print(`\n✓ ${entries.length} calls, ${entries.length} entries, each with exactly what was done.`);
}

async function main(args: readonly string[]): Promise<number> {
  try {
    await demonstrate(options(args), (line) => void process.stdout.write(`${line}\n`));
    return 0;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
    if (!(error instanceof DemoFailure || error instanceof DevelopmentKeyError)) throw error;
    process.stderr.write(`✗ ${error.message}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
