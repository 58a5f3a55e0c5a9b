import { Query, type ClientBase, type Connection } from "pg";

/** One row of an answer, each column as PostgreSQL prints it. */
export type TextRow = readonly (string | null)[];

/** A statement that answers with rows. */
export interface LastStatement {
  /** By which it stays prepared on the connection; null for one that is seldom sent. */
  readonly name: string | null;
  readonly text: string;
  /** Only what the client sends as it is, and so without fail. */
  readonly values: (string | Buffer | null)[];
}

/**
 * Sends a transaction's last statement and COMMIT as one message, and gives the statement's rows once both are done.
 * Where the server refuses the statement, it skips COMMIT: the transaction is left to be rolled back.
 *
 * @param refused makes what is thrown of a statement's refusal; what COMMIT itself runs into is thrown as it comes
 */
export function commitWith(
  client: ClientBase,
  statement: LastStatement,
  refused: (cause: Error) => unknown,
): Promise<readonly TextRow[]> {
  return new Promise((resolve, reject) => {
    const query: StatementAndCommit = new StatementAndCommit(statement, (error) => {
      if (!error) resolve(query.taken);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whatever the caller makes of it
      else reject(query.carriedOut ? error : refused(error));
    });
    client.query(query);
  });
}

const COMMIT = { name: "audit:COMMIT", text: "COMMIT" };

/** What stands prepared on each connection. */
const preparedOn = new WeakMap<Connection, Set<string>>();

/**
 * Two statements before one Sync: the server answers both at once, and wakes this process once. The rows' columns are
 * known to who asks, so they needn't be described each time.
 */
class StatementAndCommit extends Query {
  readonly taken: TextRow[] = [];
  /** From here on only COMMIT can fail. */
  carriedOut = false;
  /** For who records what is sent. */
  readonly texts: readonly string[];

  constructor(statement: LastStatement, done: (error: Error | undefined) => void) {
    const fresh: string[] = [];
    let prepared = new Set<string>();
    super({ text: statement.text }, (error) => {
      // What was refused, or came behind it, may not have been prepared: it is asked for again.
      if (!error) for (const name of fresh) prepared.add(name);
      done(error ?? undefined);
    });
    this.texts = [statement.text, COMMIT.text];
    this.submit = (connection) => {
      prepared = preparedOn.get(connection) ?? new Set();
      preparedOn.set(connection, prepared);
      const run = ({ name, text, values }: LastStatement) => {
        if (name === null || !prepared.has(name)) {
          if (name !== null) {
            connection.close({ type: "S", name }, true);
            fresh.push(name);
          }
          connection.parse({ name: name ?? "", text, types: [] }, true);
        }
        connection.bind({ statement: name ?? "", values }, true);
        connection.execute(null, true);
      };
      connection.stream.cork();
      run(statement);
      run({ ...COMMIT, values: [] });
      connection.sync();
      connection.stream.uncork();
    };
  }

  handleDataRow({ fields }: { readonly fields: TextRow }): void {
    this.taken.push(fields);
  }

  handleCommandComplete(): void {
    this.carriedOut = true;
  }
}
