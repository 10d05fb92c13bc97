/** All observations together: do they look like draws from the shares that were predicted? */
import type { Question } from "../../src/core/model/walk.ts";
import type { Disagreement } from "./disagreement.ts";
import { describeCounts, type Seen } from "./outcomes.ts";
import { distributionOf, lnSeen, tail, type Distribution, type Draws } from "./statistics.ts";

export interface Observation {
  question: Question;
  /** How often each thing was seen; each of them is in `chances`. */
  counts: ReadonlyMap<Seen, number>;
  /** Predicted chance of each; they sum to 1. */
  chances: ReadonlyMap<Seen, number>;
  /** Tries planned; a timeout at the first leaves two. */
  planned: number;
}

/** Standard deviations that the likelihood of everything may be off. */
const MOST_Z = 4;
/** Fewer random probes than this are no sum that the normal distribution describes. */
const FEWEST_FOR_Z = 20;
/** Chance of a false alarm that each family of exact tests may have, all its tests together. */
const FALSE_ALARM = 1e-3;

const percent = (x: number): string => `${(100 * x).toFixed(1)}%`;
const describeChances = (c: ReadonlyMap<Seen, number>): string =>
  [...c].map(([seen, p]) => `${percent(p)} ${seen}`).join(" | ");

interface Judged {
  observation: Observation;
  distribution: Distribution;
  ln: number;
}

/** A claim like "3 of 10 tries meet a timeout", tested by all the tries that could. */
interface Tally {
  chances: number[];
  seen: number;
  sample: Question;
}

export class Evidence {
  readonly z: number;
  /** Observations that chance had a part in. */
  readonly random: number;
  private readonly judged: Judged[] = [];
  private readonly tallies = new Map<string, Tally>();
  private readonly cache = new Map<string, Distribution | null>();

  constructor(observations: readonly Observation[]) {
    for (const o of observations) {
      if (o.chances.size < 2) continue;
      this.weigh(o);
      this.count(o);
    }
    let off = 0;
    let variance = 0;
    for (const j of this.judged) {
      off += j.ln - j.distribution.mean;
      variance += j.distribution.variance;
    }
    this.random = this.judged.length;
    this.z = variance === 0 ? 0 : off / Math.sqrt(variance);
  }

  private weigh(observation: Observation): void {
    const seen = [...observation.chances].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const draws: Draws = {
      shares: seen.map(([, p]) => p),
      timeout: seen.findIndex(([s]) => s === "timeout"),
      planned: observation.planned,
    };
    const key = `${draws.planned} ${draws.timeout} ${draws.shares.join()}`;
    let distribution = this.cache.get(key);
    if (distribution === undefined) this.cache.set(key, (distribution = distributionOf(draws)));
    if (distribution === null) return;
    const ln = lnSeen(
      seen.map(([s]) => observation.counts.get(s) ?? 0),
      draws,
    );
    this.judged.push({ observation, distribution, ln });
  }

  /** Adds the tries to every tally that they bear on. Whether the first try timed out is known, so it is a tally of its own draws. */
  private count(o: Observation): void {
    const n = [...o.counts.values()].reduce((a, b) => a + b, 0);
    const pTimeout = o.chances.get("timeout") ?? 0;
    const stops = o.planned > 2 && pTimeout > 0;
    const stopped = stops && n === 2 && (o.counts.get("timeout") ?? 0) > 0;
    const groups = new Map<string, { p: number; seen: number; timeout: boolean }>();
    for (const [seen, p] of o.chances) {
      const [client, server, address] = seen.split(" ");
      const from = o.question.from.startsWith("outside") ? "outside" : o.question.from.split("/")[1]!;
      const keys = [client!, `${client} from a ${from}`, `${client} at port ${o.question.port}`];
      if (server !== undefined) keys.push(`answered by ${server}`, `answered, client seen as ${address}`);
      for (const key of keys) {
        const g = groups.get(key) ?? { p: 0, seen: 0, timeout: seen === "timeout" };
        groups.set(key, { p: g.p + p, seen: g.seen + (o.counts.get(seen) ?? 0), timeout: g.timeout });
      }
    }
    for (const [key, { p, seen, timeout }] of groups) {
      if (p > 1 - 1e-12) continue;
      const draws = stopped ? (timeout ? [p, p] : [p]) : Array.from({ length: n }, () => p);
      // Given that it was no timeout, the first try is what it is with the other outcomes' chances.
      if (stops && !stopped && !timeout) draws[0] = p / (1 - pTimeout);
      const tally = this.tallies.get(key) ?? { chances: [], seen: 0, sample: o.question };
      tally.chances.push(...draws);
      tally.seen += seen;
      this.tallies.set(key, tally);
    }
  }

  /** Everything that chance cannot explain. */
  disagreements(): Disagreement[] {
    const found: Disagreement[] = [];
    for (const { observation: o, distribution, ln } of this.judged) {
      const p = distribution.atMost(ln);
      if (p * this.judged.length >= FALSE_ALARM) continue;
      found.push({
        kind: "unlikely",
        question: o.question,
        seen: describeCounts(o.counts),
        said: describeChances(o.chances),
        note: `chance ${p.toExponential(1)}`,
      });
    }
    for (const [what, t] of this.tallies) {
      const p = tail(t.chances, t.seen);
      if (p * this.tallies.size >= FALSE_ALARM) continue;
      const expected = t.chances.reduce((a, b) => a + b, 0);
      found.push({
        kind: "shares",
        question: t.sample,
        seen: `${what}: ${t.seen} of ${t.chances.length} tries`,
        said: `${what}: ${expected.toFixed(1)} of ${t.chances.length} tries`,
        note: `chance ${p.toExponential(1)}, over all probes`,
      });
    }
    if (this.judged.length >= FEWEST_FOR_Z && Math.abs(this.z) >= MOST_Z) {
      found.push({
        kind: "shares",
        question: null,
        seen: `likelihood ${this.z.toFixed(1)} standard deviations off`,
        said: `${this.judged.length} probes left to chance`,
        note: this.z > 0 ? "too even: outcomes predicted that never happen" : "too odd: shares are wrong",
      });
    }
    return found;
  }
}
