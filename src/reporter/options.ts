import { hostname } from "node:os";
import { isAbsolute } from "node:path";
import { problemsOf, type TargetRule } from "./targets.js";

/** What runs, as the session's list shows it; each of 1 to 200 characters. */
export interface ReportSource {
  readonly program: string;
  readonly version: string;
  /** This machine's name where it isn't given. */
  readonly host?: string;
}

/** Something that people should hear of. `message` holds neither token nor content. */
export interface Notice {
  readonly kind:
    /** A call came to nothing, and is made again; told once, until one succeeds. */
    | "delayed"
    /** The API takes nothing of this session or token; entries wait until the queue is full. Told once. */
    | "refused"
    | "recovered"
    /** An entry that the API refuses for good. */
    | "set_aside"
    /** Entries are being dropped; told once for each reason, until none waits any more. */
    | "dropped"
    /** What has to do with the spool's folder. */
    | "spool"
    /** The URL is of another machine's http: who listens on the way reads token and entries. Told once. */
    | "in_the_clear";
  readonly message: string;
  readonly cause?: unknown;
  readonly sequenceNumber?: bigint;
  /** What was set aside, as JSON: it may hold secrets. */
  readonly entry?: string;
}

export interface ReporterOptions {
  /** The API's `/graphql`. */
  readonly url?: string | URL;
  /** A Unix socket of the API or of a relay, in place of a URL. */
  readonly socketPath?: string;
  /** A bearer token of role `reporter`, or what gives one for each call. A relay has its own, and needs none. */
  readonly token?: string | (() => string | Promise<string>);
  /** A file that holds the token; read for each call, so that it may be replaced. */
  readonly tokenFile?: string;
  readonly source: ReportSource;
  /** As soon as so many entries wait, a call goes; 10. */
  readonly batchSize?: number;
  /** How many entries a call takes at most, of those that wait by then; 1,000. */
  readonly maxBatchSize?: number;
  /** How long an entry waits for others, in milliseconds; 5,000. */
  readonly maxDelay?: number;
  /** How many entries wait in memory; what comes beyond is dropped. 10,000. */
  readonly maxQueued?: number;
  /** How many characters they may have; 32 Mi. */
  readonly maxQueuedCharacters?: number;
  /** After how many milliseconds a call is given up, and made again; 10,000. */
  readonly callTimeout?: number;
  /** After how many milliseconds without a call one without entries says that the process lives; 25,000. */
  readonly heartbeat?: number;
  /** A folder of this process alone, in which entries wait for the API, also over a crash. */
  readonly spool?: { readonly folder: string; readonly maxBytes?: number };
  /** Requests to these carry the headers of correlation; none where it isn't given. */
  readonly correlation?: { readonly targets: readonly TargetRule[] };
  /** Whether `beforeExit`, SIGTERM and the exit are looked after; true. */
  readonly handleExit?: boolean;
  /** A warning of the process where it isn't given. */
  readonly onNotice?: (notice: Notice) => void;
}

/** Options with every default in place. */
export interface ReporterSettings extends Required<
  Pick<
    ReporterOptions,
    | "batchSize"
    | "maxBatchSize"
    | "maxDelay"
    | "maxQueued"
    | "maxQueuedCharacters"
    | "callTimeout"
    | "heartbeat"
    | "handleExit"
  >
> {
  readonly target: { readonly url: URL } | { readonly socketPath: string };
  readonly token: () => string | null | Promise<string | null>;
  readonly source: Required<ReportSource>;
  readonly spool: { readonly folder: string; readonly maxBytes: number } | null;
  readonly targets: readonly TargetRule[];
  readonly notify: (notice: Notice) => void;
}

/** The options can't be used; the message names every problem. */
export class ReporterConfigurationError extends Error {
  override readonly name = "ReporterConfigurationError";

  constructor(readonly problems: readonly string[]) {
    super(`The reporter can't be made: ${problems.join(" ")}`);
  }
}

const SPOOL_BYTES = 64 * 1024 * 1024;
const SMALLEST_SPOOL = 256 * 1024;
const MAX_TEXT = 200;
const LONGEST_WAIT = 2 ** 31 - 1;
/** A session of which nothing is heard for a minute is shown as SILENT. */
const LONGEST_SILENCE = 50_000;

/** @throws ReporterConfigurationError with all problems at once */
export function settingsOf(options: ReporterOptions, token: ReporterSettings["token"]): ReporterSettings {
  const numbers = numbersOf(options);
  const target = targetOf(options);
  const problems = [
    ...numbers.problems,
    ...(typeof target === "string" ? [target] : []),
    ...(options.token !== undefined && options.tokenFile !== undefined ? ["token and tokenFile are both given."] : []),
    ...problemsOfSource(options.source),
    ...problemsOfSpool(options.spool),
    ...(options.correlation === undefined ? [] : problemsOf(options.correlation.targets)),
  ];
  if (problems.length > 0 || typeof target === "string") throw new ReporterConfigurationError(problems);
  return {
    ...numbers.values,
    handleExit: options.handleExit ?? true,
    target,
    token,
    source: { ...options.source, host: options.source.host ?? hostname() },
    spool: options.spool ? { folder: options.spool.folder, maxBytes: options.spool.maxBytes ?? SPOOL_BYTES } : null,
    targets: options.correlation?.targets ?? [],
    notify: safely(options.onNotice ?? warn),
  };
}

const defaults = {
  batchSize: 10,
  maxBatchSize: 1_000,
  maxDelay: 5_000,
  maxQueued: 10_000,
  maxQueuedCharacters: 32 * 1024 * 1024,
  callTimeout: 10_000,
  heartbeat: 25_000,
};
type NumberName = keyof typeof defaults;
const largest: Readonly<Record<NumberName, number>> = {
  batchSize: 1_000,
  maxBatchSize: 1_000,
  maxDelay: LONGEST_WAIT,
  maxQueued: 10_000_000,
  maxQueuedCharacters: 2 ** 40,
  callTimeout: LONGEST_WAIT,
  heartbeat: LONGEST_SILENCE,
};

function numbersOf(options: ReporterOptions): { readonly values: Record<NumberName, number>; problems: string[] } {
  const values = { ...defaults };
  const problems: string[] = [];
  for (const name of Object.keys(defaults) as NumberName[]) {
    const value = options[name] ?? defaults[name];
    const least = name === "maxDelay" ? 0 : 1;
    if (Number.isInteger(value) && value >= least && value <= largest[name]) values[name] = value;
    else problems.push(`${name} isn't a whole number from ${least} to ${largest[name]}.`);
  }
  values.maxBatchSize = Math.max(values.maxBatchSize, options.maxBatchSize === undefined ? values.batchSize : 1);
  values.batchSize = Math.min(values.batchSize, values.maxBatchSize);
  return { values, problems };
}

function targetOf({ url, socketPath }: ReporterOptions): ReporterSettings["target"] | string {
  if ((url === undefined) === (socketPath === undefined)) return "One of url and socketPath has to be given.";
  if (socketPath !== undefined) return isAbsolute(socketPath) ? { socketPath } : "socketPath isn't an absolute path.";
  const parsed = URL.canParse(String(url)) ? new URL(String(url)) : null;
  const isHttp = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  if (!parsed || !isHttp) return "url isn't one of http or https.";
  if (parsed.username !== "" || parsed.password !== "") return "url holds credentials: use token or tokenFile.";
  return { url: parsed };
}

function problemsOfSource(source: Partial<ReportSource> | undefined): string[] {
  const named = { program: source?.program, version: source?.version, host: source?.host ?? (hostname() || undefined) };
  return Object.entries(named).flatMap(([name, text]) => {
    const isGood = typeof text === "string" && text.length >= 1 && text.length <= MAX_TEXT && isStorable(text);
    return isGood ? [] : [`source.${name} isn't a text of 1 to ${MAX_TEXT} characters.`];
  });
}

/** The API refuses every call of a source that PostgreSQL can't hold. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

function problemsOfSpool(spool: ReporterOptions["spool"]): string[] {
  if (spool === undefined) return [];
  const { folder, maxBytes = SPOOL_BYTES } = spool;
  return [
    ...(typeof folder === "string" && isAbsolute(folder) ? [] : ["spool.folder isn't an absolute path."]),
    ...(Number.isSafeInteger(maxBytes) && maxBytes >= SMALLEST_SPOOL
      ? []
      : [`spool.maxBytes isn't a whole number from ${SMALLEST_SPOOL}.`]),
  ];
}

function warn({ message }: Notice): void {
  process.emitWarning(message, "AuditReporterWarning");
}

function safely(notify: (notice: Notice) => unknown): (notice: Notice) => void {
  return (notice) => void tell(notify, notice);
}

/** At once, whether or not whoever is told takes their time. */
async function tell(notify: (notice: Notice) => unknown, notice: Notice): Promise<void> {
  try {
    await notify(notice);
  } catch {
    // Who is told has no say in what becomes of the entries.
  }
}
