#!/usr/bin/env node
/** The command line beside the API: one command a file. */
import { Command, CommanderError } from "commander";
import { readVersion } from "../program-facts.js";
import { relayCommand } from "./relay.js";

/** sysexits.h: EX_USAGE. */
const usageExitCode = 64;

const program = new Command("auditctl")
  .description("Works with AuditQL from the command line.")
  .version(readVersion())
  .exitOverride();
program.addCommand(relayCommand().copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed its own message.
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
}
