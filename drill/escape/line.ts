import type pg from "pg";

/** Who tries to get past the log. */
export const escapers = ["API", "second application", "owner", "superuser"] as const;
export type Escaper = (typeof escapers)[number];

/** Where a line is tried: a database of its own, with the rows and entries of clients of the API in it. */
export interface LineGround {
  /** Connected as who tries. */
  readonly client: pg.Client;
  readonly url: string;
  /** As the superuser, for what has to stand before. */
  readonly adminUrl: string;
  /** Ids of rows that stand. */
  readonly device: string;
  readonly group: string;
}

/** One way past the log. */
export interface Line {
  readonly what: string;
  readonly by: readonly Escaper[];
  /** The superuser's statements beforehand. */
  readonly setup?: readonly string[];
  /** Throws where it is refused; what it answers is said beside what came of it. */
  readonly run: (ground: LineGround) => Promise<string | undefined>;
  /** It takes the fence down first: who administers the log can. */
  readonly isBreach?: boolean;
  /** One entry tells of all rows, as documented. */
  readonly isBulk?: boolean;
}

/** Statements one after the other, the first refusal ending them. */
export function statements(
  what: string,
  by: readonly Escaper[],
  list: readonly string[] | ((ground: LineGround) => readonly string[]),
  more: Partial<Line> = {},
): Line {
  const run = async (ground: LineGround): Promise<undefined> => {
    for (const statement of typeof list === "function" ? list(ground) : list) await ground.client.query(statement);
  };
  return { what, by, run, ...more };
}
