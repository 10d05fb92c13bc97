/** Outcomes of a walk and of a probe in the same words, so that they can be compared. */
import type { Answer, ClientResult, Outcome, Share } from "../../src/core/model/walk.ts";
import { plainAddress, type Probe } from "./truth.ts";

const RESULT: Readonly<Record<string, ClientResult>> = {
  delivered: "answered",
  timeout: "timeout",
  refused: "refused",
  "Network is unreachable": "network-unreachable",
  "No route to host": "host-unreachable",
  "Operation not permitted": "not-permitted",
  "Permission denied": "prohibited",
  "Invalid argument": "invalid",
  "Message too long": "too-big",
};

/** What a program met, in the walk's words; unknown words stay as they are, and so match nothing. */
export const clientResult = (word: string): string => RESULT[word] ?? word;

/** Host name that stands for every machine beyond the cluster: the recorder's own, whatever it is called. */
export const BEYOND = "(outside)";

/**
 * Host name by which a server at this place calls itself: `n1/host` → n1, a pod's place → the pod's name, machines beyond the nodes →
 * BEYOND. A place without a known host name stays itself.
 */
export function hostNameOf(place: string): string {
  const parts = place.split("/");
  if (parts[0] === "outside" || parts[0] === "fabric") return BEYOND;
  if (parts.length === 2 && parts[1] === "host") return parts[0]!;
  if (parts.length === 4 && parts[1] === "pod") return parts[3]!;
  return place;
}

/** One thing that can be seen of a try: `answered SERVER ADDRESS`, or the client's result alone. */
export type Seen = string;

export const seenAnswer = (server: string, clientAddress: string): Seen =>
  `answered ${server} ${plainAddress(clientAddress)}`;

export function seenOf(o: Outcome): Seen {
  if (o.client !== "answered") return o.client;
  return o.server === undefined ? "answered" : seenAnswer(hostNameOf(o.server.at), o.server.clientAddress);
}

/** Counts by what was seen; `names` are the host names of nodes and pods. */
export function seenCounts(p: Probe, names: ReadonlySet<string>): Map<Seen, number> {
  const counts = new Map<Seen, number>();
  const add = (key: Seen, n: number): unknown => counts.set(key, (counts.get(key) ?? 0) + n);
  for (const [word, n] of Object.entries(p.outcomes)) if (word !== "delivered") add(clientResult(word), n);
  for (const a of p.answers) add(seenAnswer(names.has(a.server) ? a.server : BEYOND, a.clientAddress), a.count);
  return counts;
}

/** A share's value; exact enough for statistics. */
export function valueOf(s: Share): number {
  // Beyond 2^53 both are scaled down alike before they become floating point.
  const num = BigInt(s.num);
  const den = BigInt(s.den);
  return Number((num * 2n ** 60n) / den) / 2 ** 60;
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

/** Whether the shares sum to exactly 1. */
export function sumToOne(shares: readonly Share[]): boolean {
  let num = 0n;
  let den = 1n;
  for (const s of shares) {
    num = num * BigInt(s.den) + BigInt(s.num) * den;
    den *= BigInt(s.den);
    const g = gcd(num, den);
    num /= g;
    den /= g;
  }
  return num === den;
}

export function describeOutcome(o: Outcome): string {
  const share = o.share === null ? "?" : o.share.den === 1 ? "" : `${o.share.num}/${o.share.den} `;
  const server = o.server === undefined ? "" : ` ${o.server.at} from ${o.server.clientAddress}`;
  const line = o.because.source === undefined ? "" : ` @${o.because.source.file}:${o.because.source.line}`;
  const why = o.client === "answered" ? "" : ` [${o.disposition}: ${o.because.text}${line}]`;
  return `${share}${o.client}${server}${why}`;
}

export const describeAnswer = (a: Answer): string => a.outcomes.map(describeOutcome).join(" | ");

export const describeCounts = (counts: ReadonlyMap<Seen, number>): string =>
  [...counts].map(([seen, n]) => (n === 1 ? seen : `${n}× ${seen}`)).join(" | ");
