import type pg from "pg";

/** What node-postgres calls back while a COPY is under way; it has no COPY of its own. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Sends `COPY … FROM STDIN` with its lines, as psql's `\copy` does. */
export function copyIn(client: pg.Client, statement: string, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: Error | undefined;
    const copy = {
      submit: (connection: pg.Connection) => {
        connection.query(statement);
      },
      handleCopyInResponse: (connection: CopyConnection) => {
        connection.sendCopyFromChunk(Buffer.from(lines.map((line) => `${line}\n`).join("")));
        connection.endCopyFrom();
      },
      handleError: (error: Error) => {
        refusal = error;
        // An error of the connection's own comes without a ReadyForQuery behind it.
        if (!("code" in error)) reject(error);
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => {
        if (refusal) reject(refusal);
        else resolve();
      },
    };
    client.query(copy);
  });
}
