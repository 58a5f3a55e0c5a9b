import type { KeyObject } from "node:crypto";
import { resolve } from "node:path";
import type { z } from "zod";
import * as forms from "./config/forms.js";

export type { SignatureAlgorithm } from "./config/forms.js";

/** Where the issuer's public keys come from. */
export type KeySource =
  | { readonly kind: "jwks"; readonly url: URL }
  | { readonly kind: "file"; readonly path: string; readonly key: KeyObject };

/** Whose tokens are believed. */
export interface TokenSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly forms.SignatureAlgorithm[];
  readonly keys: KeySource;
}

/** Everything the environment decides, read once. The databases' URLs hold passwords: never log them. */
export interface Config {
  readonly environment: (typeof forms.environments)[number];
  /** Whether made keys, GraphiQL and the token command are offered: not in production, and on loopback alone. */
  readonly development: boolean;
  readonly host: string;
  /** 0 stands for any port that is free. */
  readonly port: number;
  /** An absolute path; the folder need not exist. */
  readonly dataDir: string;
  /** The API's own login; null for the embedded server. */
  readonly databaseUrl: string | null;
  readonly migrationDatabaseUrl: string | null;
  readonly readDatabaseUrl: string | null;
  /** How long field policies that a new version replaces stand beside the new ones, in seconds. */
  readonly fenceGrace: number;
  /** In the form that Express's `trust proxy` takes; empty trusts nobody. */
  readonly trustedProxies: readonly string[];
  /** The Unix socket on which GraphQL is served as well, an absolute path; null for none. */
  readonly auditSocket: string | null;
  /** How many equal DENIED entries are written by themselves in a minute. */
  readonly deniedPerMinute: number;
  readonly logLevel: (typeof forms.logLevels)[number];
  /** How many octets may wait for the log while it can't be written. */
  readonly spoolMaxBytes: number;
  /** After how many milliseconds without activity a chat is archived; null for never. */
  readonly chatAutoArchiveAfter: number | null;
  /** Null, in development alone: the key made in `dataDir` is believed. */
  readonly tokens: TokenSettings | null;
}

/** One setting that can't be used. */
export interface ConfigProblem {
  readonly variable: string;
  /** What is wrong, with nothing of a value that may hold a secret. */
  readonly problem: string;
  /** The form expected, with an example. */
  readonly expected: string;
}

/** Nothing can be served with this environment: `problems` has all that is wrong with it, and the message lists it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** What the process ends with: EX_CONFIG. */
  readonly exitCode = 78;

  constructor(readonly problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "1 setting is" : `${problems.length} settings are`;
    const lines = problems.map(({ variable, problem, expected }) => `  ${variable} ${problem}; expected ${expected}`);
    super([`${count} missing or wrong:`, ...lines].join("\n"));
  }
}

const databaseForm = "a PostgreSQL URL, such as postgres://auditql:password@db.example.com:5432/auditql";

/** What each variable has to look like, as whoever set it is told. */
const expectations = {
  NODE_ENV: `one of ${forms.environments.join(", ")}, such as production`,
  HOST: "an address or host name to listen on, such as 127.0.0.1",
  PORT: "a whole number from 0 to 65535, such as 4000",
  DATA_DIR: "a folder, such as .data",
  DATABASE_URL: databaseForm,
  MIGRATION_DATABASE_URL: databaseForm,
  READ_DATABASE_URL: databaseForm,
  FENCE_GRACE: "a whole number of seconds from 0 to 86400, such as 3600",
  TRUSTED_PROXIES: "addresses, CIDR ranges, loopback, linklocal or uniquelocal, such as loopback,10.0.0.0/8",
  AUDIT_SOCKET: "a path of at most 100 bytes for a Unix socket, such as /run/auditql/audit.sock",
  AUDIT_DENIED_PER_MINUTE: "a whole number from 1 to 1000000, such as 10",
  LOG_LEVEL: `one of ${forms.logLevels.join(", ")}, such as info`,
  AUDIT_SPOOL_MAX_BYTES: "a whole number of bytes from 8388608 to 1099511627776, such as 67108864",
  CHAT_AUTO_ARCHIVE_AFTER:
    "a duration of 1 second to 3650 days, such as 30d, 12h or P30D (months and years vary: give days)",
  JWT_ISSUER: "the iss of the tokens, such as https://id.example.com/",
  JWT_AUDIENCE: "the aud of the tokens, such as https://auditql.example.com/",
  JWT_ALGORITHMS: `a list from ${forms.signatureAlgorithms.join(", ")}, such as RS256,ES256`,
  JWKS_URL: "an https URL (http on loopback alone), such as https://id.example.com/.well-known/jwks.json",
  JWT_PUBLIC_KEY_FILE: "a PEM file with a public key or certificate, such as /etc/auditql/issuer.pem",
};
type Variable = keyof typeof expectations;

const tokenVariables = ["JWT_ISSUER", "JWT_AUDIENCE", "JWKS_URL", "JWT_PUBLIC_KEY_FILE", "JWT_ALGORITHMS"] as const;

const commonAlgorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] as const;

const defaultHost = "127.0.0.1";
/** Where DATA_DIR leads where it isn't set, from the folder in which the process was started. */
export const defaultDataDir = ".data";

/** The variable's text; an empty one counts as missing. */
function textOf(env: NodeJS.ProcessEnv, variable: Variable): string | undefined {
  return env[variable]?.trim() || undefined;
}

/** Reads variables one by one and remembers every problem met. */
class Reader {
  readonly problems: ConfigProblem[] = [];

  constructor(private readonly env: NodeJS.ProcessEnv) {}

  has(variable: Variable): boolean {
    return textOf(this.env, variable) !== undefined;
  }

  report(variable: Variable, problem: string): void {
    this.problems.push({ variable, problem, expected: expectations[variable] });
  }

  /** What the schema makes of the variable, or undefined where it finds something wrong, which is remembered. */
  read<Output>(variable: Variable, schema: z.ZodType<Output>): Output | undefined {
    const result = schema.safeParse(textOf(this.env, variable));
    if (result.success) return result.data;
    for (const issue of result.error.issues) this.report(variable, issue.message);
    return undefined;
  }
}

function readKeySource(reader: Reader): KeySource | undefined {
  const url = reader.read("JWKS_URL", forms.jwksUrl.optional());
  const file = reader.read("JWT_PUBLIC_KEY_FILE", forms.requiredText.optional());
  if (reader.has("JWKS_URL")) {
    if (file !== undefined) reader.report("JWT_PUBLIC_KEY_FILE", "is set beside JWKS_URL, and only one may be");
    return url && { kind: "jwks", url };
  }
  if (file === undefined) {
    reader.report("JWKS_URL", "is missing, and so is JWT_PUBLIC_KEY_FILE");
    return undefined;
  }
  const path = resolve(file);
  const key = forms.readPublicKey(path);
  if (typeof key !== "string") return { kind: "file", path, key };
  reader.report("JWT_PUBLIC_KEY_FILE", key);
  return undefined;
}

/** The algorithms allowed: with a key file, those that its key verifies. */
function readAlgorithms(reader: Reader, keys: KeySource | undefined): readonly forms.SignatureAlgorithm[] {
  const named = reader.read("JWT_ALGORITHMS", forms.algorithms.optional());
  if (keys?.kind !== "file") return named ?? commonAlgorithms;
  const possible = forms.algorithmsOf(keys.key);
  const allowed = named?.filter((algorithm) => possible.includes(algorithm)) ?? possible;
  if (allowed.length === 0) reader.report("JWT_ALGORITHMS", `has none of the key's, ${possible.join(", ")}`);
  return allowed;
}

function readTokenSettings(reader: Reader): TokenSettings | undefined {
  const issuer = reader.read("JWT_ISSUER", forms.requiredText);
  const audience = reader.read("JWT_AUDIENCE", forms.requiredText);
  const keys = readKeySource(reader);
  const algorithms = readAlgorithms(reader, keys);
  if (issuer === undefined || audience === undefined || keys === undefined) return undefined;
  return { issuer, audience, algorithms, keys };
}

function readDatabases(reader: Reader, production: boolean) {
  if (!reader.has("DATABASE_URL")) {
    if (production) reader.report("DATABASE_URL", "is missing, and the embedded server isn't for production");
    for (const variable of ["MIGRATION_DATABASE_URL", "READ_DATABASE_URL"] as const)
      if (reader.has(variable)) reader.report(variable, "is set without DATABASE_URL");
  }
  const read = (variable: Variable) => reader.read(variable, forms.databaseUrl.optional()) ?? null;
  return {
    databaseUrl: read("DATABASE_URL"),
    migrationDatabaseUrl: read("MIGRATION_DATABASE_URL"),
    readDatabaseUrl: read("READ_DATABASE_URL"),
  };
}

/**
 * Reads and checks every setting.
 * @throws ConfigError with all that is wrong, not the first of it.
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const reader = new Reader(env);
  const environment = reader.read("NODE_ENV", forms.environment.default("development"));
  const host = reader.read("HOST", forms.host.default(defaultHost));
  const port = reader.read("PORT", forms.port.prefault("4000"));
  const dataDir = resolve(textOf(env, "DATA_DIR") ?? defaultDataDir);
  const databases = readDatabases(reader, environment === "production");
  const fenceGrace = reader.read("FENCE_GRACE", forms.graceSeconds.prefault("3600"));
  const trustedProxies = reader.read("TRUSTED_PROXIES", forms.proxies.prefault(""));
  const auditSocket = reader.read("AUDIT_SOCKET", forms.socketPath.optional()) ?? null;
  const logLevel = reader.read("LOG_LEVEL", forms.logLevel.default("info"));
  const deniedPerMinute = reader.read("AUDIT_DENIED_PER_MINUTE", forms.rate.prefault("10"));
  const spoolMaxBytes = reader.read("AUDIT_SPOOL_MAX_BYTES", forms.spoolBytes.prefault("67108864"));
  const chatAutoArchiveAfter = reader.read("CHAT_AUTO_ARCHIVE_AFTER", forms.duration.optional()) ?? null;
  const exposed = environment === "production" || (host !== undefined && !forms.isLoopback(host));
  const named = exposed || tokenVariables.some((variable) => reader.has(variable));
  const tokens = named ? readTokenSettings(reader) : null;
  const read = {
    environment,
    host,
    port,
    fenceGrace,
    trustedProxies,
    logLevel,
    deniedPerMinute,
    spoolMaxBytes,
    tokens,
  };
  if (reader.problems.length > 0 || !isWhole(read)) throw new ConfigError(reader.problems);
  return { ...read, ...databases, development: !exposed, dataDir, auditSocket, chatAutoArchiveAfter };
}

type Whole<Values> = { readonly [Name in keyof Values]: Exclude<Values[Name], undefined> };

/** Whether every value could be read; each that couldn't has left a problem. */
const isWhole = <Values extends object>(values: Values): values is Values & Whole<Values> =>
  Object.values(values).every((value) => value !== undefined);

/** Why no development token may be made in this environment, as a sentence's beginning; null where one may. */
export function developmentTokenObstacle(env: NodeJS.ProcessEnv): string | null {
  if (textOf(env, "NODE_ENV") === "production") return "NODE_ENV is production";
  if (!forms.isLoopback(textOf(env, "HOST") ?? defaultHost)) return "HOST isn't a loopback address";
  const named = tokenVariables.find((variable) => textOf(env, variable) !== undefined);
  return named === undefined ? null : `${named} is set, so that tokens come from their issuer`;
}
