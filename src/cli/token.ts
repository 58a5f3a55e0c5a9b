#!/usr/bin/env node
/** Prints a token for development, and nothing else, on standard output. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { tenantPattern } from "../audit/entry.js";
import { roles, type Role } from "../audit/roles.js";
import { ClaimError, roleClaim } from "../auth/claims.js";
import { DevelopmentKeyError, ensureDevelopmentKey, mintDevelopmentToken } from "../auth/development-key.js";
import { ConfigError, developmentTokenObstacle, loadConfig } from "../config.js";

/** sysexits.h: EX_USAGE and EX_CONFIG. */
const usageExitCode = 64;
const configExitCode = 78;

const secondsIn: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 };
const longestLifetimeSeconds = 365 * 86_400;

function parseLifetime(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text);
  const seconds = Number(match?.[1] ?? 0) * (secondsIn[match?.[2] ?? ""] ?? 0);
  if (seconds > 0 && seconds <= longestLifetimeSeconds) return seconds;
  throw new InvalidArgumentError("It takes seconds, or a number with s, m, h or d, such as 30m; 365d at most.");
}

function parseTenant(text: string): string {
  if (tenantPattern.test(text)) return text;
  throw new InvalidArgumentError(
    "A tenant has 1 to 63 lower-case letters, digits, - and _, the first a letter or digit.",
  );
}

interface Options {
  readonly subject: string;
  readonly tenant?: string;
  readonly name?: string;
  readonly role: readonly string[];
  readonly expiresIn: number;
  readonly clientId?: string;
  readonly act?: string;
  readonly actName?: string;
}

function options(args: readonly string[]): Options {
  const role = new Option("--role <role...>", "what the subject may do").choices(roles.map(roleClaim)).default([]);
  const lifetime = new Option("--expires-in <time>", "how long it is valid: seconds, or like 30m, 12h, 7d");
  const command = new Command("npm run --silent token --")
    .description("Prints a token that the API believes in development, whether it runs or not.")
    .requiredOption("--subject <id>", "who calls")
    .option("--tenant <tenant>", "whose data it is; a platform auditor needs none", parseTenant)
    .option("--name <name>", "the subject's name")
    .addOption(role)
    .addOption(lifetime.default(43_200, "12h").argParser(parseLifetime))
    .option("--client-id <id>", "the client; the subject's own id makes it a service")
    .option("--act <id>", "the service that acts for the subject")
    .option("--act-name <name>", "that service's name")
    .exitOverride()
    .parse(args, { from: "user" });
  const given = command.opts<Options>();
  if (given.actName !== undefined && given.act === undefined) command.error("error: --act-name needs --act");
  return given;
}

async function tokenFor(given: Options, env: NodeJS.ProcessEnv): Promise<string> {
  const key = await ensureDevelopmentKey(loadConfig(env).dataDir);
  return mintDevelopmentToken(key, {
    subject: given.subject,
    name: given.name ?? null,
    tenantId: given.tenant ?? null,
    roles: roles.filter((role: Role) => given.role.includes(roleClaim(role))),
    clientId: given.clientId ?? null,
    act: given.act === undefined ? null : { sub: given.act, name: given.actName ?? null },
    lifetimeSeconds: given.expiresIn,
  });
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`${message}\n`);
  return exitCode;
}

function exitCodeOf(error: unknown): number {
  // Commander has printed its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
  if (error instanceof ClaimError) return complain(`The API would refuse it. ${error.message}`, usageExitCode);
  if (error instanceof ConfigError || error instanceof DevelopmentKeyError)
    return complain(error.message, configExitCode);
  throw error;
}

/** Runs the command, and says what the process should end with. */
async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  try {
    const given = options(args);
    const obstacle = developmentTokenObstacle(env);
    if (obstacle !== null)
      return complain(`No token is made: ${obstacle}. This command is for development alone.`, configExitCode);
    process.stdout.write(`${await tokenFor(given, env)}\n`);
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  }
}

process.exitCode = await main(process.argv.slice(2), process.env);
