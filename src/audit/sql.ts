/** A name as PostgreSQL's `quote_ident` gives it for what needs quotes; always quoted, which means the same. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A text as a literal, whatever `standard_conforming_strings` says. */
export const literal = (text: string): string =>
  `${text.includes("\\") ? " E" : ""}'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

/** Texts as an array of literals. */
export const textArray = (texts: readonly string[]): string => `array[${texts.map(literal).join(", ")}]::text[]`;
