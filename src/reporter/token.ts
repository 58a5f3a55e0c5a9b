import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { ReporterOptions, ReporterSettings } from "./options.js";

/** The token can't be had, or can't be sent. */
export class TokenError extends Error {
  override readonly name = "TokenError";
}

const MAX_TOKEN_BYTES = 16 * 1024;

/** Gives the token for a call, each time anew; whoever asks has to see to a deadline. Null where none is set. */
export function tokenOf({ token, tokenFile }: ReporterOptions): ReporterSettings["token"] {
  if (tokenFile !== undefined) return fromFile(tokenFile);
  if (token === undefined) return () => null;
  return async () => checked(typeof token === "string" ? token : await token());
}

function fromFile(path: string): () => Promise<string> {
  let reading: Promise<string> | null = null;
  return async () => {
    // A disk that hangs holds one read, not one for each call.
    reading ??= readToken(path).finally(() => (reading = null));
    return checked(await reading);
  };
}

async function readToken(path: string): Promise<string> {
  // A pipe that nobody writes to would hold up whoever opens it.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new TokenError("The token's file isn't a regular file.");
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
