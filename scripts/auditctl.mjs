#!/usr/bin/env node
import { orExit, prepare } from "./prepare.mjs";

await orExit(prepare);
// In this very process, so that a signal to it reaches the command.
await import("../dist/src/cli/auditctl.js");
