/** What several measurements of one thing came to. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws RangeError for no values */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right);
  return { median: percentile(sorted, 50), min: percentile(sorted, 0), max: percentile(sorted, 100) };
}

/**
 * Between the two nearest, as their distances say; 50 gives the usual median.
 *
 * @param sorted ascending
 */
export function percentile(sorted: readonly number[], percent: number): number {
  const place = ((sorted.length - 1) * percent) / 100;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) throw new RangeError("There is no percentile of no values.");
  return low + (high - low) * (place - Math.floor(place));
}

export const ascending = (values: readonly number[]): number[] => [...values].sort((left, right) => left - right);

/** One ratio for each alternation, so that what slows a machine down for a while slows both sides of each. */
export function ratios(values: readonly number[], bases: readonly number[]): Spread {
  return spread(values.map((value, index) => value / (bases[index] ?? NaN)));
}

/** In an order of chance, so that none always runs behind the same other. */
export function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => [Math.random(), item] as const)
    .sort(([left], [right]) => left - right)
    .map(([, item]) => item);
}
