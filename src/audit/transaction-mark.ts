/** A transaction by what the database calls it, and by when it began there, in PostgreSQL's own form. */
export interface TransactionMark {
  readonly xactId: string;
  readonly begunAt: string;
}
