import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { SignJWT } from "jose";
import type { Role } from "../audit/roles.js";
import type { TokenSettings } from "../config.js";
import { codeOf } from "../disk/code-of.js";
import { createOnce } from "../disk/create-once.js";
import { callerOf, roleClaim } from "./claims.js";

const issuer = "auditql-development";
const audience = "auditql";
const algorithm = "ES256";
const fileName = "development-key.pem";

/** The key pair that signs and verifies tokens in development, and the file that holds it. */
export interface DevelopmentKey {
  readonly path: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** The development key can't be made or read; the message says what to do. */
export class DevelopmentKeyError extends Error {
  override readonly name = "DevelopmentKeyError";
}

function unusableFolder(path: string, cause: unknown): DevelopmentKeyError {
  return new DevelopmentKeyError(`${path} can't be used; set DATA_DIR to a folder that we may write to.`, { cause });
}

async function readPem(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusableFolder(path, error);
  }
}

async function readKey(path: string): Promise<DevelopmentKey | null> {
  const pem = await readPem(path);
  if (pem === null) return null;
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new TypeError("not a P-256 key");
    return { path, privateKey, publicKey: createPublicKey(privateKey) };
  } catch (cause) {
    throw new DevelopmentKeyError(`${path} holds no usable key; delete it, and another is made.`, { cause });
  }
}

function newKeyPem(): string | Buffer {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" });
}

/**
 * The key pair in the folder, made there first (0600, the folder too) if it isn't there. Any number of processes may
 * ask at once: all get the same.
 * @throws DevelopmentKeyError where the file or the folder can't be used.
 */
export async function ensureDevelopmentKey(dataDir: string): Promise<DevelopmentKey> {
  const path = join(dataDir, fileName);
  const present = await readKey(path);
  if (present) return present;
  try {
    // Entered, though not listed, by the user that the embedded PostgreSQL runs as where we are root.
    await mkdir(dataDir, { recursive: true, mode: 0o711 });
    await createOnce(path, newKeyPem());
  } catch (cause) {
    throw unusableFolder(path, cause);
  }
  const made = await readKey(path);
  if (!made) throw new DevelopmentKeyError(`${path} was removed while it was being made; try again.`);
  return made;
}

/** What the API believes in development, where no issuer is set. */
export function developmentTokenSettings({ path, publicKey }: DevelopmentKey): TokenSettings {
  return { issuer, audience, algorithms: [algorithm], keys: { kind: "file", path, key: publicKey } };
}

/** What a development token says. */
export interface DevelopmentClaims {
  readonly subject: string;
  readonly name: string | null;
  readonly tenantId: string | null;
  readonly roles: readonly Role[];
  readonly clientId: string | null;
  /** The service that acts for the subject. */
  readonly act: { readonly sub: string; readonly name: string | null } | null;
  readonly lifetimeSeconds: number;
}

/** Claims that are null are left out, as an issuer leaves them out. */
const present = (claims: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));

/**
 * Signs a token that the API believes while it runs on this development key.
 * @throws ClaimError where the API would refuse the token for what it says.
 */
export async function mintDevelopmentToken(key: DevelopmentKey, claims: DevelopmentClaims): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = present({
    iss: issuer,
    aud: audience,
    sub: claims.subject,
    name: claims.name,
    tenant: claims.tenantId,
    roles: claims.roles.map(roleClaim),
    jti: randomUUID(),
    client_id: claims.clientId,
    act: claims.act && present(claims.act),
    iat: now,
    exp: now + claims.lifetimeSeconds,
  });
  callerOf(payload);
  return new SignJWT(payload).setProtectedHeader({ alg: algorithm, typ: "JWT" }).sign(key.privateKey);
}
