import { open } from "node:fs/promises";
import type { ReporterOptions, ReporterSettings } from "./options.js";

/** The token can't be had, or can't be sent. */
export class TokenError extends Error {
  override readonly name = "TokenError";
}

const MAX_TOKEN_BYTES = 16 * 1024;
const TOKEN_TIMEOUT = 10_000;

/** Gives the token for a call, each time anew. Null where none is set. */
export function tokenOf({ token, tokenFile }: ReporterOptions): ReporterSettings["token"] {
  if (tokenFile !== undefined) return async () => checked(await readToken(tokenFile));
  if (token === undefined) return () => null;
  return async () => checked(typeof token === "string" ? token : await inTime(Promise.resolve(token())));
}

/** Whoever gives tokens may never do so. */
async function inTime(token: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TokenError("The token didn't come in time.")), TOKEN_TIMEOUT).unref();
  });
  try {
    return await Promise.race([token, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readToken(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_TOKEN_BYTES + 1), 0, MAX_TOKEN_BYTES + 1, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** A header takes no other characters. */
function checked(given: string): string {
  const token = given.trim();
  if (token.length <= MAX_TOKEN_BYTES && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new TokenError("The token is empty, longer than 16 KiB, or holds other characters than a token's.");
}
