/** How a server answers mutations. */
export const arms = [
  "audited",
  "unfenced",
  "filled",
  "filledUnfenced",
  "keyed",
  "bare",
  "trigger",
  "statement",
] as const;
export type Arm = (typeof arms)[number];

/** What a bench's server is started with. */
export interface ApiSettings {
  readonly arm: Arm;
  readonly apiUrl: string;
  readonly readerUrl: string;
  /** Holds the key that verifies tokens. */
  readonly dataDir: string;
}

/** What the bench asks of a server of its own, and what that answers. */
export type ApiQuestion = "cpu" | "record" | "recorded";

export interface ApiAnswer {
  /** Microseconds that the process has used so far, all its threads. */
  readonly cpu?: number;
  /** The statements sent since `record`. */
  readonly statements?: readonly SentStatement[];
}

export interface SentStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}
