import type pg from "pg";

/** What node-postgres calls back while a COPY is under way; it has no COPY of its own. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Sends `COPY … FROM STDIN` with its lines, as psql's `\copy` does. */
export function copyIn(client: pg.Client, statement: string, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = {
      submit: (connection: pg.Connection) => {
        connection.query(statement);
      },
      handleCopyInResponse: (connection: CopyConnection) => {
        connection.sendCopyFromChunk(Buffer.from(lines.map((line) => `${line}\n`).join("")));
        connection.endCopyFrom();
      },
      // What was refused isn't told of its end as well.
      handleError: reject,
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => {
        resolve();
      },
    };
    client.query(copy);
  });
}
