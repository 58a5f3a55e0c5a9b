/** Why a line can't become an entry. */
export type SetAsideReason =
  /** It isn't what this spool wrote: edited, given another number, cut off, or brought from elsewhere. */
  | "doesn't verify"
  /** The line stands there twice. */
  | "repeated"
  /** It verifies, but another version wrote it. */
  | "can't be read"
  /** The database refuses it for good; with PostgreSQL's code. */
  | `refused with ${string}`;
