/** Which members of two lists are the same, in the same order: a longest common subsequence. */

/** Above this many cells a table would cost more than it is worth; what is unique in both lists decides then. */
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
    else greedy(wanted, there, start, a, b, places);
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

/** Takes each of `wanted` at its first place after the last one taken. */
function greedy(
  wanted: readonly string[],
  there: readonly string[],
  start: number,
  a: number,
  b: number,
  places: number[],
): void {
  const where = new Map<string, number[]>();
  for (let j = start; j < b; j++) {
    const list = where.get(there[j]!);
    if (list === undefined) where.set(there[j]!, [j]);
    else list.push(j);
  }
  let last = start - 1;
  for (let i = start; i < a; i++) {
    const place = where.get(wanted[i]!)?.find((j) => j > last);
    if (place !== undefined) places[i] = last = place;
  }
}
