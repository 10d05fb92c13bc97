/**
 * Rules in a row that differ only in chance, as one choice. kube-proxy writes n endpoints as n rules, the i-th
 * matching 1/(n-i+1) of what reaches it; asked one by one, n branches would cost n² questions.
 */

/** What `statistic` says: matches `num` of `den` times. */
export interface Chance {
  readonly num: number;
  readonly den: number;
}

const LIMIT = 2n ** 53n;

const gcd = (a: bigint, b: bigint): bigint => {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
};

/**
 * Integer weights, exact and in lowest terms, of "rule i is the first to match" for as many rules from the first on as
 * fit below 2^53. A last weight is added for "none matches" when that can be. Null marks a rule without chance: it always matches.
 */
export function firstMatchWeights(chances: readonly (Chance | null)[]): { taken: number; weights: number[] } {
  // What is left for the next rule, in lowest terms: for 1/n, 1/(n-1) … it stays (n-i)/n.
  let leftNum = 1n;
  let leftDen = 1n;
  const nums: bigint[] = [];
  const dens: bigint[] = [];
  let common = 1n;
  for (const chance of chances) {
    if (leftNum === 0n) break;
    const num = chance === null ? 1n : BigInt(chance.num);
    const den = chance === null ? 1n : BigInt(chance.den);
    const hitNum = leftNum * num;
    const hitDen = leftDen * den;
    const g = gcd(hitNum, hitDen);
    const newNum = leftNum * (den - num);
    const h = gcd(newNum, hitDen);
    const nextDen = newNum === 0n ? 1n : hitDen / h;
    const both = lcm(common, lcm(hitDen / g, nextDen));
    if (both >= LIMIT) break;
    nums.push(hitNum / g);
    dens.push(hitDen / g);
    common = both;
    leftNum = newNum / h;
    leftDen = nextDen;
  }
  const exact = nums.map((n, i) => (n * common) / dens[i]!);
  if (leftNum !== 0n) exact.push((leftNum * common) / leftDen);
  const divisor = exact.reduce(gcd, 0n) || 1n;
  return { taken: nums.length, weights: exact.map((w) => Number(w / divisor)) };
}

function lcm(a: bigint, b: bigint): bigint {
  return (a / gcd(a, b)) * b;
}
