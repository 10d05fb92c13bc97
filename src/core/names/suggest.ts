/** The names nearest to one that is not known. */
import { distance } from "fastest-levenshtein";

/** At most this many names are worth reading after "did you mean". */
const MOST = 3;

/**
 * The candidates that `text` is likely a misspelling of, nearest first, at most three. A candidate also counts by
 * its beginning, because pods carry generated endings: `shop/clinet` is near to `shop/client-4lc6q`, and so is the pod that
 * was there before it, `shop/client-x7k2p`.
 */
export function nearest(text: string, candidates: Iterable<string>): string[] {
  const wanted = text.toLowerCase();
  if (wanted === "") return [];
  // About one letter in three may be wrong; two swapped letters count as two.
  const limit = Math.min(4, Math.floor((wanted.length + 1) / 3));
  const dash = wanted.lastIndexOf("-");
  const stem = dash > wanted.lastIndexOf("/") + 1 ? wanted.slice(0, dash + 1) : null;
  const found: { name: string; cost: number }[] = [];
  for (const name of candidates) {
    const lower = name.toLowerCase();
    const whole = Math.abs(lower.length - wanted.length) > limit ? Number.POSITIVE_INFINITY : distance(wanted, lower);
    const start =
      lower.length > wanted.length ? distance(wanted, lower.slice(0, wanted.length)) + 0.5 : Number.POSITIVE_INFINITY;
    // Of names equally far, the one of the same length is the likelier.
    const sibling = stem !== null && lower.startsWith(stem) ? limit + 0.5 : Number.POSITIVE_INFINITY;
    const cost = Math.min(whole + Math.min(4, Math.abs(lower.length - wanted.length)) / 10, start, sibling);
    if (cost <= limit + 0.5) found.push({ name, cost });
  }
  found.sort((a, b) => a.cost - b.cost || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return found.slice(0, MOST).map((f) => f.name);
}

/** `a, b, c and 4 more`: a list that stays readable. */
export function someOf(names: readonly string[], most = 6): string {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}
