import type { Spread } from "./statistics.js";

export { table } from "../scratch/table.js";

/** `0.912 (0.880 to 0.934)` */
export const spreadText = ({ median, min, max }: Spread, digits = 3): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
