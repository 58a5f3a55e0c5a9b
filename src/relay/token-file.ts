import { once } from "node:events";
import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** The file holds no token, or can't be read; the message holds nothing of it. */
export class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

const LONGEST_TOKEN = 16 * 1024;
/** What may stand around it. */
const MOST_SPACE = 16;

/** Where the bearer token is. */
export class TokenFile {
  #reading: Promise<string> | null = null;

  constructor(private readonly file: string) {}

  /**
   * Reads it for every call anew: a token that was replaced is used at once.
   *
   * @param signal ends the waiting for a disk that doesn't answer
   * @throws TokenFileError
   */
  read(signal: AbortSignal): Promise<string> {
    // One at a time: each holds a thread while the disk doesn't answer, and the spool needs those too.
    this.#reading ??= readToken(this.file).finally(() => (this.#reading = null));
    return Promise.race([this.#reading, this.#late(signal)]);
  }

  async #late(signal: AbortSignal): Promise<never> {
    if (!signal.aborted) await once(signal, "abort");
    throw new TokenFileError(`The token can't be read in time from ${this.file}.`);
  }
}

async function readToken(file: string): Promise<string> {
  const text = await readStart(file).catch((error: unknown) => {
    throw new TokenFileError(`The token can't be read from ${file}.`, { cause: error });
  });
  const token = text.trim();
  // RFC 6750, 2.1.
  if (token.length <= LONGEST_TOKEN && /^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token;
  throw new TokenFileError(`${file} has to hold one token and nothing else.`);
}

async function readStart(file: string): Promise<string> {
  // Otherwise a FIFO without a writer would hold a thread for ever, and with it the end of the process.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LONGEST_TOKEN + MOST_SPACE));
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}
