/**
 * Exact statistics of what a probe shows. A probe is tried n times, each try drawn from the same shares; but when the first try
 * times out, only one more is made. So what is seen of a probe is one of two forms: `(timeout, k)`, or the counts of n tries
 * of which the first was not a timeout.
 */

/** Relative tolerance within which two probabilities count as equal: rounding only. */
const EQUAL = 1 + 1e-9;
/** More ways than this to spread the tries are not listed; none of the recordings come near. */
const MOST_WAYS = 400_000;

export interface Draws {
  /** Chance of each outcome; they sum to 1. */
  shares: readonly number[];
  /** Index of the outcome after which a probe stops early; -1 when it is impossible. */
  timeout: number;
  /** Tries that were planned. */
  planned: number;
}

const logFactorial = [0];
function lnFactorial(n: number): number {
  for (let i = logFactorial.length; i <= n; i++) logFactorial.push(logFactorial[i - 1]! + Math.log(i));
  return logFactorial[n]!;
}

/** ln P of these counts in sum(counts) independent draws; -Infinity when impossible. */
export function lnMultinomial(counts: readonly number[], shares: readonly number[]): number {
  let n = 0;
  let ln = 0;
  for (let i = 0; i < counts.length; i++) {
    const c = counts[i]!;
    if (c === 0) continue;
    n += c;
    ln += c * Math.log(shares[i]!) - lnFactorial(c);
  }
  return ln + lnFactorial(n);
}

/** ln P of what was seen, counts by outcome, as the recorder tries (head of this file). */
export function lnSeen(counts: readonly number[], d: Draws): number {
  const n = counts.reduce((a, b) => a + b, 0);
  const timeouts = d.timeout < 0 ? 0 : counts[d.timeout]!;
  if (d.planned > 2 && n === 2 && timeouts > 0) {
    const other = counts.findIndex((c, i) => c > 0 && (i !== d.timeout || c === 2));
    return Math.log(d.shares[d.timeout]!) + Math.log(d.shares[other]!);
  }
  // Given the counts every order is as likely, so the first is a timeout with chance timeouts/n.
  const firstIsNot = d.planned > 2 ? Math.log(1 - timeouts / n) : 0;
  return lnMultinomial(counts, d.shares) + firstIsNot;
}

/** Everything that can be seen of such a probe, with its ln P; null when there is too much of it. */
function* everything(d: Draws): Generator<number> {
  const k = d.shares.length;
  const stops = d.planned > 2 && d.timeout >= 0;
  if (stops) for (let i = 0; i < k; i++) yield Math.log(d.shares[d.timeout]!) + Math.log(d.shares[i]!);
  const counts = Array.from({ length: k }, () => 0);
  function* spread(i: number, left: number): Generator<number> {
    if (i === k - 1) {
      counts[i] = left;
      const ln = stops && counts[d.timeout] === d.planned ? -Infinity : lnSeen(counts, d);
      if (ln > -Infinity) yield ln;
      return;
    }
    for (let c = 0; c <= left; c++) {
      counts[i] = c;
      yield* spread(i + 1, left - c);
    }
  }
  yield* spread(0, d.planned);
}

function ways(n: number, k: number): number {
  let w = 1;
  for (let i = 1; i < k; i++) w = (w * (n + i)) / i;
  return w;
}

export interface Distribution {
  /** Expectation and variance of ln P(what is seen). */
  mean: number;
  variance: number;
  /** P(something at most as likely as this is seen): the exact multinomial test. */
  atMost(ln: number): number;
}

/** What ln P comes to by chance; null when there are too many ways to list them. */
export function distributionOf(d: Draws): Distribution | null {
  if (ways(d.planned, d.shares.length) > MOST_WAYS) return null;
  const lns = Float64Array.from(everything(d)).toSorted();
  let mean = 0;
  let square = 0;
  const below = new Float64Array(lns.length);
  let sum = 0;
  for (let i = 0; i < lns.length; i++) {
    const ln = lns[i]!;
    const p = Math.exp(ln);
    sum += p;
    below[i] = sum;
    mean += p * ln;
    square += p * ln * ln;
  }
  return {
    mean,
    variance: Math.max(0, square - mean * mean),
    atMost(ln) {
      let i = lns.length;
      const bound = ln + Math.log(EQUAL);
      while (i > 0 && lns[i - 1]! > bound) i--;
      return i === 0 ? 0 : Math.min(1, below[i - 1]!);
    },
  };
}

/** Chances of 0, 1, 2 … successes in independent tries with these chances (Poisson's binomial distribution), exactly. */
export function successes(chances: readonly number[]): Float64Array {
  const p = new Float64Array(chances.length + 1);
  p[0] = 1;
  chances.forEach((c, n) => {
    for (let i = n + 1; i > 0; i--) p[i] = p[i]! * (1 - c) + p[i - 1]! * c;
    p[0] = p[0]! * (1 - c);
  });
  return p;
}

/** Two-sided: P(a count at least as far out as `seen`), twice the smaller tail. */
export function tail(chances: readonly number[], seen: number): number {
  const p = successes(chances);
  let low = 0;
  let high = 0;
  for (let i = 0; i < p.length; i++) {
    if (i <= seen) low += p[i]!;
    if (i >= seen) high += p[i]!;
  }
  return Math.min(1, 2 * Math.min(low, high));
}
