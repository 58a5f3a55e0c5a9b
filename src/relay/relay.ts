import { once } from "node:events";
import type { Server } from "node:http";
import { LineSpoolFullError } from "../disk/line-spool.js";
import { listenOnUnixSocket, requireSocketPath, type UnixSocket } from "../unix-socket.js";
import { within } from "../within.js";
import type { Batch, Source } from "./batch.js";
import { RefusedRequest } from "./body.js";
import { Delivery } from "./delivery.js";
import type { Failing } from "./failing.js";
import { createIntake } from "./intake.js";
import type { RelayLog } from "./log.js";
import { RelayMetrics } from "./metrics.js";
import { startMonitor, type RelayHealth } from "./monitor.js";
import { Outbox } from "./outbox.js";
import { OwnSession } from "./own-session.js";
import { Sender } from "./sender.js";
import { SetAsideEntries } from "./set-aside.js";
import { Slots } from "./slots.js";
import { TokenFile } from "./token-file.js";
import { Upstream } from "./upstream.js";

export interface RelayOptions {
  readonly socketPath: string;
  /** The API's /graphql. */
  readonly url: URL;
  readonly tokenFile: string;
  /** Of one call to the API, in milliseconds. */
  readonly timeout: number;
  readonly spoolFolder: string;
  readonly spoolMaxBytes: number;
  /** Null for none, 0 for one that the system chooses. */
  readonly metricsPort: number | null;
  /** Of the relay's own session. */
  readonly source: Source;
}

export interface Relay {
  /** Where `/metrics` is served, such as `http://127.0.0.1:9464`; null where it isn't. */
  readonly monitor: string | null;
  /** Takes no more, sends on what waits, and leaves the rest to the next run: within 10 seconds. */
  stop(): Promise<void>;
}

/** Calls to the API at a time, each for another session. */
const SESSIONS_AT_A_TIME = 4;
const APPEND_MILLISECONDS = 10_000;
/** The parts of a stop; together they take less than ten seconds. */
const ANSWER_MILLISECONDS = 1_500;
const FLUSH_MILLISECONDS = 5_000;
/** Where the API takes nothing, waiting for it is of little use: what waits is on the disk. */
const VAIN_FLUSH_MILLISECONDS = 1_000;
const LOOK_MILLISECONDS = 100;
const CLOSE_MILLISECONDS = 1_500;

/**
 * Starts a relay: it serves once this resolves, also where the API can't be reached.
 *
 * @throws TokenFileError, LineSpoolInUseError, UnixSocketError, or what the system says
 */
export async function startRelay(options: RelayOptions, log: RelayLog): Promise<Relay> {
  await new TokenFile(options.tokenFile).read(AbortSignal.timeout(options.timeout));
  const running = new RunningRelay(options, log);
  await running.start();
  return running;
}

class RunningRelay implements Relay {
  readonly #metrics = new RelayMetrics();
  readonly #ending = new AbortController();
  readonly #upstream: Upstream;
  readonly #own: OwnSession;
  #telling: Promise<void> = Promise.resolve();
  #intake: Server | null = null;
  #socket: UnixSocket | null = null;
  #monitor: { readonly server: Server; readonly origin: string } | null = null;
  #outbox: Outbox | null = null;
  #delivery: Delivery | null = null;
  #sender: Sender | null = null;

  constructor(
    private readonly options: RelayOptions,
    private readonly log: RelayLog,
  ) {
    const { url, tokenFile, timeout } = options;
    // One connection more is the own session's.
    this.#upstream = new Upstream(url, tokenFile, timeout, SESSIONS_AT_A_TIME + 1, this.#metrics);
    this.#own = new OwnSession(this.#upstream, options.source, this.#metrics, log);
  }

  get monitor(): string | null {
    return this.#monitor?.origin ?? null;
  }

  async start(): Promise<void> {
    const { socketPath, metricsPort } = this.options;
    // The spool makes its own folder, and those above it, for nobody else's eyes.
    await requireSocketPath(socketPath);
    const outbox = await this.#openOutbox();
    this.#metrics.spool = () => outbox.state;
    try {
      if (metricsPort !== null) this.#monitor = await startMonitor(metricsPort, this.#metrics, () => this.#health());
      const intake = createIntake({
        keep: (batch) => this.#keep(outbox, batch),
        metrics: this.#metrics,
        log: this.log,
      });
      this.#socket = await listenOnUnixSocket(intake, socketPath);
      this.#intake = intake;
    } catch (error) {
      this.#monitor?.server.close();
      await outbox.close();
      throw error;
    }
    const { signal } = this.#ending;
    const aside = new SetAsideEntries(outbox.aside, this.log);
    const slots = new Slots(SESSIONS_AT_A_TIME);
    const { log } = this;
    const parts = { upstream: this.#upstream, own: this.#own, aside, slots, metrics: this.#metrics, log, signal };
    this.#delivery = new Delivery(parts);
    this.#sender = new Sender(outbox, this.#delivery, slots, log, signal);
    this.#sender.start();
    this.#telling = this.#own.run(signal);
    const { entries } = outbox.state;
    log.info({ sessionId: this.#own.sessionId, waiting: entries }, "relaying");
  }

  async stop(): Promise<void> {
    const { log } = this;
    const outbox = this.#outbox;
    if (this.#intake) await closeServer(this.#intake, ANSWER_MILLISECONDS);
    if (outbox) await this.#flush(outbox.emptied());
    this.#ending.abort();
    outbox?.stop();
    this.#upstream.cutOff();
    await Promise.all([this.#sender?.ended(), this.#telling]);
    if (outbox) await this.#closeOwnSession(outbox);
    this.#upstream.close();
    if (this.#monitor) await closeServer(this.#monitor.server, 0);
    log.info({ waiting: outbox?.state.entries ?? 0 }, "stopped");
    await outbox?.close();
    await this.#socket?.release();
  }

  /** Whether the API fails may show meanwhile. */
  async #flush(emptied: Promise<void>): Promise<void> {
    const begun = performance.now();
    for (;;) {
      const time = this.#failing() === null ? FLUSH_MILLISECONDS : VAIN_FLUSH_MILLISECONDS;
      const left = begun + time - performance.now();
      if (left <= 0 || (await within(Math.min(left, LOOK_MILLISECONDS), emptied)) !== null) return;
    }
  }

  #failing(): Failing | null {
    return this.#delivery?.failing ?? this.#own.failing;
  }

  async #openOutbox(): Promise<Outbox> {
    const { spoolFolder, spoolMaxBytes } = this.options;
    const { log } = this;
    let isOpen = false;
    const onSetAside = (lines: number, file: string): void => {
      log.error({ lines, file }, "lines of the spool don't verify: set aside");
      // How many entries such a line had can't be told; one that a crash cut off was never answered, and comes again.
      if (!isOpen) this.#own.drop("unreadable", lines);
    };
    const onTrouble = (error: unknown): void => log.error({ error }, "the spool's folder is in trouble");
    const options = { maxBytes: spoolMaxBytes, onSetAside, onTrouble };
    this.#outbox = await Outbox.open(spoolFolder, options, (entries) => this.#own.drop("unreadable", entries));
    isOpen = true;
    return this.#outbox;
  }

  async #keep(outbox: Outbox, batch: Batch): Promise<void> {
    try {
      // It may be written yet: sent again, it is the same.
      if ((await within(APPEND_MILLISECONDS, outbox.append(batch))) === null)
        throw new Error("The disk doesn't answer.");
    } catch (error) {
      if (error instanceof LineSpoolFullError)
        throw new RefusedRequest(503, "UNAVAILABLE", "The spool is full: send it again.");
      this.log.error({ error }, "a batch could not be kept");
      throw new RefusedRequest(503, "UNAVAILABLE", "The relay can't keep it now: send it again.");
    }
  }

  /** Where the API can't be told, the next run tells it. */
  async #closeOwnSession(outbox: Outbox): Promise<void> {
    const closing = this.#own.closing();
    const answer = await within(CLOSE_MILLISECONDS, this.#upstream.report(closing));
    if (answer?.kind === "judged") return;
    await outbox
      .append(closing, false)
      .catch((error: unknown) => this.log.error({ error }, "the end could not be kept"));
  }

  #health(): RelayHealth {
    const failing = this.#failing();
    if (failing === null) return { status: "ok", detail: null };
    const since = new Date(failing.since).toISOString();
    return { status: "degraded", detail: `The API has taken nothing since ${since}: ${failing.reason}.` };
  }
}

/** Requests under way may take so long to be answered. */
async function closeServer(server: Server, milliseconds: number): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await within(milliseconds, closed);
  server.closeAllConnections();
}
