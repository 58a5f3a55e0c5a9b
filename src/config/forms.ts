/**
 * The forms that settings have: zod schemas whose messages say what is wrong, and hold nothing of a value that may be
 * a secret.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";

export const environments = ["development", "production", "test"] as const;

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

const rsaAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;

/** The signatures a token may carry: asymmetric alone, so that no public key is ever taken for a shared secret. */
export const signatureAlgorithms = [...rsaAlgorithms, "ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** As JSON, so that no control character reaches a terminal, and short. */
const quote = (value: unknown): string => JSON.stringify(String(value).slice(0, 60));
const is = { error: (issue: { readonly input?: unknown }): string => `is ${quote(issue.input)}` };
const hasItem = { error: (issue: { readonly input?: unknown }): string => `has the item ${quote(issue.input)}` };

/** A text that the function finds nothing wrong with. */
const textWithout = (problemOf: (value: string) => string | null) =>
  z.string().check((context) => {
    const message = problemOf(context.value);
    if (message !== null) context.issues.push({ code: "custom", message, input: undefined });
  });

const commaList = z.string().transform((value) =>
  value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

export const requiredText = z.string({ error: "is missing" });
export const environment = z.enum(environments, is);
export const logLevel = z.enum(logLevels, is);

export const port = z
  .string()
  .regex(/^\d{1,5}$/, is)
  .transform(Number)
  .refine((value) => value <= 65_535, is);

export const rate = z
  .string()
  .regex(/^[1-9]\d{0,6}$/, is)
  .transform(Number)
  .refine((value) => value <= 1_000_000, is);

/** Room for some attempts under way at once, each of which reserves what its arguments may take. */
const fewestSpoolBytes = 8 * 1024 ** 2;
const mostSpoolBytes = 1024 ** 4;

export const spoolBytes = z
  .string()
  .regex(/^\d{1,13}$/, is)
  .transform(Number)
  .refine((value) => value >= fewestSpoolBytes && value <= mostSpoolBytes, is);

/** A day at most: so long may a version run on beside the next. */
export const graceSeconds = z
  .string()
  .regex(/^\d{1,5}$/, is)
  .transform(Number)
  .refine((value) => value <= 86_400, is);

/** What every system has room for, with a lock's name behind it. */
const longestSocketPath = 100;

export const socketPath = z
  .string()
  .transform((value) => resolve(value))
  .refine((value) => Buffer.byteLength(value) <= longestSocketPath, { error: "is longer than a socket's path may be" });

/** A last label of digits alone would be read as an address by some resolvers: `127.1`, `0`. */
const hostName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
export const host = z.string().refine((value) => isIP(value) !== 0 || hostName.test(value), is);

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether nothing but this machine reaches what listens on the host. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6");
}

function databaseUrlProblem(value: string): string | null {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url) return "is no URL (in a password, percent-encode all but letters and digits)";
  if (!["postgres:", "postgresql:"].includes(url.protocol)) return "doesn't begin with postgres://";
  if (url.hash || /[/@]/.test(url.pathname.slice(1))) return "has a #, / or @ that isn't percent-encoded";
  if (url.pathname.length < 2) return "names no database";
  try {
    decodeURIComponent(url.username + url.password + url.pathname);
  } catch {
    return "has a % that isn't percent-encoded as %25";
  }
  return null;
}

export const databaseUrl = textWithout(databaseUrlProblem);

function isProxy(value: string): boolean {
  if (["loopback", "linklocal", "uniquelocal"].includes(value)) return true;
  const [address = "", prefix, ...more] = value.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || more.length > 0) return false;
  // A prefix of 0 would let anyone state any address.
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
}

export const proxies = commaList.pipe(z.array(z.string().refine(isProxy, hasItem)));

export const algorithms = commaList.pipe(z.array(z.enum(signatureAlgorithms, hasItem)).min(1, "has no item"));

function jwksUrlProblem(value: string): string | null {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url) return "is no URL";
  if (url.username || url.password) return "holds a user or a password";
  if (url.protocol === "https:") return null;
  const unbracketed = url.hostname.replace(/^\[|\]$/g, "");
  return url.protocol === "http:" && isLoopback(unbracketed) ? null : "isn't https";
}

export const jwksUrl = textWithout(jwksUrlProblem).transform((value) => new URL(value));

/** Which algorithms a public key verifies; empty for a key of an unsupported kind or too small. */
export function algorithmsOf(key: KeyObject): readonly SignatureAlgorithm[] {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ed25519") return ["EdDSA", "Ed25519"];
  if (key.asymmetricKeyType === "rsa" && modulusLength >= 2048) return rsaAlgorithms;
  if (namedCurve === "prime256v1") return ["ES256"];
  if (namedCurve === "secp384r1") return ["ES384"];
  return namedCurve === "secp521r1" ? ["ES512"] : [];
}

/** What the attempt returns, or null where it throws. */
function attempt<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** The public key in a PEM file, SPKI or certificate, or what is wrong with the file. */
export function readPublicKey(path: string): KeyObject | string {
  const pem = attempt(() => readFileSync(path, "utf8"));
  if (pem === null) return "names no file that can be read";
  // Its public half could be computed, but whoever only verifies shouldn't hold it at all.
  if (pem.includes("PRIVATE KEY-----")) return "names a file with a private key";
  const key = attempt(() => createPublicKey(pem));
  if (!key) return "names a file without a public key";
  if (algorithmsOf(key).length > 0) return key;
  return "names a key other than RSA of at least 2048 bits, P-256, P-384, P-521 or Ed25519";
}

const seconds = { w: 604_800, d: 86_400, h: 3_600, m: 60, s: 1 } as const;
const longestDuration = 3_650 * seconds.d;
const isoDuration =
  /^P(?=\d|T\d)(?:(\d{1,9})W|(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?)$/;

/** The seconds of `30d`, or of an ISO 8601 duration without months and years, whose lengths vary; NaN for other text. */
function secondsOf(value: string): number {
  const [, count, unit] = /^(\d{1,9})([wdhms])$/.exec(value) ?? [];
  if (unit !== undefined) return Number(count) * seconds[unit as keyof typeof seconds];
  const [whole, ...counts] = isoDuration.exec(value) ?? [];
  if (whole === undefined) return Number.NaN;
  return Object.values(seconds).reduce((sum, each, index) => sum + each * Number(counts[index] ?? 0), 0);
}

/** A duration of 1 second to 3,650 days, in milliseconds. */
export const duration = z
  .string()
  .refine((value) => secondsOf(value) >= 1 && secondsOf(value) <= longestDuration, is)
  .transform((value) => secondsOf(value) * 1_000);
