/** Durations as Go writes them in configuration files, flags and objects. */

const SECONDS: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, μs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/**
 * Reads `24h0m0s`, `1.5h` or `250ms` as seconds; null when it is none (Go time.ParseDuration).
 * "0" and "" are no time at all.
 */
export function parseGoDuration(text: string): number | null {
  if (text === "0" || text === "") return 0;
  const pieces = [...text.replace(/^[+-]/, "").matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy)];
  const read = pieces.reduce((length, piece) => length + piece[0].length, text.search(/[^+-]/));
  if (pieces.length === 0 || read !== text.length) return null;
  const sum = pieces.reduce((total, piece) => total + Number(piece[1]) * (SECONDS[piece[2]!] ?? 0), 0);
  return text.startsWith("-") ? -sum : sum;
}

/** Whole seconds of a duration in a recorded object, `1m30s`; null when it is none. */
export function wholeSeconds(value: unknown): number | null {
  const seconds = typeof value === "string" && value !== "" ? parseGoDuration(value) : null;
  return seconds === null ? null : Math.round(seconds);
}
