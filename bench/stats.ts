/** Quantiles of measurements. */

export interface Quantiles {
  p50: number;
  p90: number;
  p99: number;
}

/** Of unsorted numbers, which are sorted in place; nearest rank. All NaN when there are none. */
export function quantiles(samples: Float64Array): Quantiles {
  samples.sort();
  const at = (q: number): number => samples[Math.min(samples.length - 1, Math.floor(q * samples.length))] ?? Number.NaN;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

/** The middle one; of an even count the lower of the two. NaN when there are none. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((x, y) => x - y)[(numbers.length - 1) >> 1] ?? Number.NaN;
}
