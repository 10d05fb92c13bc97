/** Which members of two lists are the same, in the same order: a longest common subsequence. */

/** Above this many cells a table would cost more than it is worth. */
const MAX_CELLS = 4_000_000;

/** For each of `wanted` its place in `there`, or -1; places rise. */
export function matchInOrder(wanted: readonly string[], there: readonly string[]): number[] {
  const places = Array.from({ length: wanted.length }, () => -1);
  let start = 0;
  while (start < wanted.length && start < there.length && wanted[start] === there[start]) places[start] = start++;
  let a = wanted.length;
  let b = there.length;
  while (a > start && b > start && wanted[a - 1] === there[b - 1]) places[--a] = --b;
  if (a > start && b > start) {
    if ((a - start) * (b - start) <= MAX_CELLS) table(wanted, there, start, a, b, places);
    else byRank(wanted, there, start, a, b, places);
  }
  return places;
}

function table(
  wanted: readonly string[],
  there: readonly string[],
  start: number,
  a: number,
  b: number,
  places: number[],
): void {
  const rows = a - start;
  const columns = b - start;
  // best[i][j]: length of the longest common subsequence of wanted[start + i …] and there[start + j …].
  const best = new Uint32Array((rows + 1) * (columns + 1));
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const at = i * (columns + 1) + j;
      best[at] =
        wanted[start + i] === there[start + j]
          ? best[at + columns + 2]! + 1
          : Math.max(best[at + columns + 1]!, best[at + 1]!);
    }
  }
  let i = 0;
  let j = 0;
  while (i < rows && j < columns) {
    const at = i * (columns + 1) + j;
    if (wanted[start + i] === there[start + j]) places[start + i++] = start + j++;
    else if (best[at + columns + 1]! >= best[at + 1]!) i++;
    else j++;
  }
}

/**
 * The nth of equal members of one list belongs to the nth of the other's, and of these pairs the most whose places rise: patience
 * sorting (Fredman 1975). Without repeated members that is a longest common subsequence.
 */
function byRank(
  wanted: readonly string[],
  there: readonly string[],
  start: number,
  a: number,
  b: number,
  places: number[],
): void {
  const where = new Map<string, number[]>();
  // From the last on, so that the first is popped first.
  for (let j = b - 1; j >= start; j--) {
    const list = where.get(there[j]!);
    if (list === undefined) where.set(there[j]!, [j]);
    else list.push(j);
  }
  const pairs: { i: number; j: number; before: number }[] = [];
  // ends[k]: of the runs of k + 1 pairs, the last pair of the one that ends first.
  const ends: number[] = [];
  for (let i = start; i < a; i++) {
    const j = where.get(wanted[i]!)?.pop();
    if (j === undefined) continue;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[ends[middle]!]!.j < j) low = middle + 1;
      else high = middle;
    }
    pairs.push({ i, j, before: low === 0 ? -1 : ends[low - 1]! });
    ends[low] = pairs.length - 1;
  }
  for (let at = ends.at(-1) ?? -1; at >= 0; at = pairs[at]!.before) places[pairs[at]!.i] = pairs[at]!.j;
}
