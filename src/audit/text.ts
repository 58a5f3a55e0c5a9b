/** Text that PostgreSQL can hold: no NUL, no lone surrogate. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

/** The text with U+FFFD for what PostgreSQL can't hold. */
export const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\uFFFD");

/** The text with U+FFFD for control characters and lone surrogates: one that a terminal shows, and in one line. */
export const withoutControls = (text: string): string => text.toWellFormed().replace(/\p{Cc}/gu, "\uFFFD");

/** The first so many code points of a text, so that no pair of surrogates is split. */
export const truncated = (text: string, codePoints: number): string =>
  // No text has more code points than units; counting them takes an array of all.
  text.length <= codePoints ? text : Array.from(text).slice(0, codePoints).join("");

/** The paths below `value` whose text, or whose key, PostgreSQL can't hold. Depth is bounded by the request's. */
export function unstorablePaths(value: unknown, path: string): string[] {
  if (typeof value === "string") return isStorable(value) ? [] : [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const place = path === "" ? storable(key) : `${path}.${storable(key)}`;
    return [...(isStorable(key) ? [] : [place]), ...unstorablePaths(inner, place)];
  });
}
