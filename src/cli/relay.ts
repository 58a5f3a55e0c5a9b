import { Command, InvalidArgumentError } from "commander";
import { LineSpoolInUseError } from "../disk/line-spool.js";
import { SetAsideFullError } from "../disk/set-aside.js";
import { programFacts } from "../program-facts.js";
import { createRelayLog, type RelayLog } from "../relay/log.js";
import { startRelay, type Relay } from "../relay/relay.js";
import { TokenFileError } from "../relay/token-file.js";
import { goesInTheClear } from "../reporter/in-the-clear.js";
import { listenToStopSignals } from "../stop-signals.js";
import { UnixSocketError } from "../unix-socket.js";

interface Options {
  readonly socket: string;
  /** As it was written: no message may hold it, there may be a secret in it. */
  readonly to: string;
  readonly tokenFile: string;
  readonly timeout: number;
  readonly spool?: string;
  readonly spoolMaxBytes: number;
  readonly metricsPort?: number;
}

/** sysexits.h: EX_USAGE and EX_CONFIG. */
const usageExitCode = 64;
const configExitCode = 78;
const stopDeadline = 9_800;
const defaultTimeout = 20_000;
const longestTimeout = 300_000;
const smallestSpool = 4 * 1024 * 1024;
const defaultSpool = 256 * 1024 * 1024;

/** `auditctl relay`: takes entries from this machine's processes on a Unix socket, keeps them and sends them to the API. */
export function relayCommand(): Command {
  return new Command("relay")
    .description(
      "Takes audit entries from local processes on a Unix socket, keeps them on disk and sends them to the API.",
    )
    .requiredOption("--socket <path>", "the Unix socket to serve, of mode 0660, in a folder that is there")
    .requiredOption("--to <url>", "the API's /graphql, such as https://audit.example.com/graphql")
    .requiredOption("--token-file <file>", "holds the token of role reporter; read again for every call")
    .option("--timeout <milliseconds>", "how long one call to the API may take", parseTimeout, defaultTimeout)
    .option("--spool <folder>", "where entries wait, 0700 (default: the socket's path with .spool)")
    .option("--spool-max-bytes <number>", "how much may wait", parseSpoolBytes, defaultSpool)
    .option(
      "--metrics-port <port>",
      "serve /metrics and /healthz on 127.0.0.1 too; 0 lets the system choose",
      parsePort,
    )
    .action(async (options: Options) => {
      await run(options, createRelayLog());
    });
}

/** Serves until a signal. */
async function run(options: Options, log: RelayLog): Promise<void> {
  process.on("unhandledRejection", (error) => log.error({ error }, "a rejection that nobody awaited"));
  // Whoever read what is ready may have gone.
  process.stdout.on("error", () => undefined);
  const { socket, tokenFile, timeout, spool, spoolMaxBytes, metricsPort } = options;
  const to = addressOf(options.to);
  if (typeof to === "string") {
    process.stderr.write(`error: --to: ${to}\n`);
    process.exitCode = usageExitCode;
    return;
  }
  if (goesInTheClear(to)) log.warn({ host: to.host }, "token and entries go over the network in the clear");
  try {
    const relay = await startRelay(
      {
        socketPath: socket,
        url: to,
        tokenFile,
        timeout,
        spoolFolder: spool ?? `${socket}.spool`,
        spoolMaxBytes,
        metricsPort: metricsPort ?? null,
        source: programFacts("auditql-relay"),
      },
      log,
    );
    stopAtSignal(relay, log);
    process.stdout.write(`ready unix:${socket}\n${relay.monitor === null ? "" : `metrics ${relay.monitor}/metrics\n`}`);
  } catch (error) {
    process.exitCode = complain(error, log);
  }
}

function stopAtSignal(relay: Relay, log: RelayLog): void {
  let since: number | null = null;
  listenToStopSignals({
    since: () => since,
    stop: (signal) => {
      since = performance.now();
      log.info({ signal }, "stopping");
      setTimeout(() => {
        log.error("it didn't stop in time; what waits is kept");
        process.exit(1);
      }, stopDeadline).unref();
      void stop(relay, log);
    },
    // What was answered is on the disk.
    endAtOnce: (_signal, exitCode) => process.exit(exitCode),
  });
}

async function stop(relay: Relay, log: RelayLog): Promise<void> {
  try {
    await relay.stop();
    process.exit(0);
  } catch (error) {
    log.error({ error }, "the stop failed; what waits is kept");
    process.exit(1);
  }
}

function complain(error: unknown, log: RelayLog): number {
  const isToldWhole = [TokenFileError, LineSpoolInUseError, SetAsideFullError, UnixSocketError].some(
    (type) => error instanceof type,
  );
  if (isToldWhole && error instanceof Error) {
    process.stderr.write(`${error.message}\n`);
    return configExitCode;
  }
  log.fatal({ error }, "the start failed");
  return 1;
}

/** What is wrong with it otherwise. An error that a parser throws, Commander prints with the value. */
function addressOf(text: string): URL | string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:")
    return "It has to be an http or https URL, such as https://audit.example.com/graphql.";
  return url.username === "" && url.password === "" ? url : "Credentials belong into --token-file.";
}

function parseTimeout(text: string): number {
  const milliseconds = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (milliseconds >= 100 && milliseconds <= longestTimeout) return milliseconds;
  throw new InvalidArgumentError(`It takes milliseconds, 100 to ${longestTimeout}.`);
}

function parseSpoolBytes(text: string): number {
  const bytes = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (bytes >= smallestSpool) return bytes;
  throw new InvalidArgumentError(`It takes a number of octets, ${smallestSpool} at least.`);
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 65_536;
  if (port <= 65_535) return port;
  throw new InvalidArgumentError("It takes a port, 0 to 65535.");
}
