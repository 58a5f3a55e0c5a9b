/** An admin's day against a running server, and what the log says of it; ends with 1 where that isn't what was done. */
import { randomBytes } from "node:crypto";
import { Command, CommanderError } from "commander";
import { DevelopmentKeyError } from "../src/auth/development-key.js";
import { ConfigError, loadConfig } from "../src/config.js";
import { tokenCommand } from "../src/token-command.js";
import { developmentCallers, givenCallers, type Callers } from "./callers.js";
import { Client } from "./client.js";
import { compare } from "./compare.js";
import { adminsDay } from "./day.js";
import { Desk } from "./desk.js";
import { DemoFailure } from "./failure.js";
import { readLog } from "./read-log.js";
import { table } from "./table.js";

interface Options {
  readonly url?: string;
  readonly adminToken?: string;
  readonly auditorToken?: string;
}

/** sysexits.h: EX_USAGE. */
const usageExitCode = 64;
/** Of the terminal, or as COLUMNS says it of where this is piped to; without either, lines are as long as they come. */
const width = (process.stdout.isTTY ? process.stdout.columns : Number(process.env["COLUMNS"])) || null;

function options(args: readonly string[]): Options {
  return new Command("npm run demo --")
    .description("An admin's day against a running server, then the same as the auditor sees it.")
    .option("--url <url>", "the server's GraphQL endpoint; otherwise where HOST and PORT say that it listens")
    .option("--admin-token <token>", "an admin's token; one is made by the key in DATA_DIR where none is given")
    .option("--auditor-token <token>", "the token of an auditor of the same tenant")
    .exitOverride()
    .parse(args, { from: "user" })
    .opts<Options>();
}

function urlOf({ url }: Options): string {
  if (url !== undefined) return url;
  const { host, port } = loadConfig(process.env);
  if (port === 0) throw new DemoFailure("PORT is 0, so the server took any that was free: name it with --url.");
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}/graphql`;
}

/** Callers, and how an auditor of theirs gets a token, where it can be made here. */
async function callersOf({ adminToken, auditorToken }: Options): Promise<[Callers, command: string | null]> {
  if (adminToken === undefined && auditorToken === undefined) {
    const { dataDir } = loadConfig(process.env);
    const command = tokenCommand(dataDir, "--tenant demo --subject olga --role auditor");
    return [await developmentCallers(dataDir), command];
  }
  if (adminToken !== undefined && auditorToken !== undefined) return [givenCallers(adminToken, auditorToken), null];
  throw new DemoFailure("--admin-token and --auditor-token belong together: give both or neither.");
}

async function demonstrate(given: Options, print: (line: string) => void): Promise<void> {
  const client = new Client(urlOf(given), randomBytes(16).toString("hex"));
  const [callers, command] = await callersOf(given);
  await client.send(callers.admin, "{ __typename }", {});
  print(`An admin's day at ${client.url}, each step with the id of the entry that it left:\n`);
  const desk = new Desk(client, print);
  await adminsDay(desk, callers);
  const entries = await readLog(client, callers.auditor, desk.done.length);
  print(`\nThe same as the auditor sees it, auditLogs(filter: { traceId: ["${client.traceId}"] }):\n`);
  print(table(entries, width));
  compare(entries, desk.done);
  print(`\n✓ ${entries.length} calls, ${entries.length} entries, each with exactly what was done.`);
  if (command !== null)
    print(`\nTo look yourself, ask as an auditor of the tenant demo, whose token is printed by\n${command}`);
}

async function main(args: readonly string[]): Promise<number> {
  try {
    await demonstrate(options(args), (line) => void process.stdout.write(`${line}\n`));
    return 0;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
    const isTold = [DemoFailure, DevelopmentKeyError, ConfigError].some((kind) => error instanceof kind);
    if (!(error instanceof Error && isTold)) throw error;
    process.stderr.write(`✗ ${error.message}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
