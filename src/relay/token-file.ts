import { readFile } from "node:fs/promises";

/** The file holds no token, or can't be read; the message holds nothing of it. */
export class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

const LONGEST_TOKEN = 16 * 1024;

/** Reads the bearer token, for every call anew: a token that was replaced is used at once. @throws TokenFileError */
export async function readToken(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new TokenFileError(`The token can't be read from ${file}.`, { cause: error });
  });
  const token = text.trim();
  // RFC 6750, 2.1.
  if (token.length <= LONGEST_TOKEN && /^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token;
  throw new TokenFileError(`${file} has to hold one token and nothing else.`);
}
