/** Compares the rules that one traced packet met with the steps of a walk. */
import type { Step } from "../../src/core/model/walk.ts";
import type { Passage, TracedFlow } from "./flow.ts";

export interface Difference {
  kind: "rules" | "order";
  at: string;
  seen: string;
  said: string;
  note: string;
}

/** A rule or policy step, with what the packet is when it meets it; null where the walk has not said yet. */
interface Met {
  step: Step;
  mark: number;
  dst: string | null;
  dport: number | null;
  src: string | null;
}

/** The kernel traces nftables alone: rules of the legacy backend leave nothing in `nft monitor trace`. */
const isLegacy = (s: Step): boolean => /ip6?tables-legacy-save/.test(s.source?.file ?? "");

/**
 * Rule and policy steps with the packet's state before each. A mark leaves the packet when it leaves the namespace
 * (skb_scrub_packet with xnet, net/core/skbuff.c), but not when a tunnel of the same namespace takes it up or gives it out.
 */
function metBy(steps: readonly Step[], to: string, port: number): Met[] {
  const met: Met[] = [];
  let at = "";
  let direction = "";
  let mark = 0;
  let now: Omit<Met, "step" | "mark"> = { dst: to, dport: port, src: null };
  for (const step of steps) {
    if (step.direction !== direction || step.at !== at) mark = 0;
    if (step.direction !== direction && step.direction === "reply") now = { dst: null, dport: null, src: null };
    ({ at, direction } = step);
    if ((step.kind === "rule" || step.kind === "policy") && !isLegacy(step))
      met.push({ step, mark, ...(step.layer === 0 ? now : { dst: null, dport: null, src: null }) });
    const c = step.changed;
    if (c?.mark !== undefined) mark = c.mark;
    if (c !== undefined && step.layer === 0)
      now = { dst: c.dst ?? now.dst, dport: c.dport ?? now.dport, src: c.src ?? now.src };
  }
  return met;
}

/** nf_tables' reject ends in a drop, and is traced as one (nft_reject_inet_eval, net/netfilter/nft_reject_inet.c). */
const asTraced = (verdict: string | undefined): string => (verdict === "reject" ? "drop" : (verdict ?? "(none)"));
const saidOf = (s: Step): string => `${s.family} ${s.table} ${s.chain} ${s.kind} ${asTraced(s.verdict)}`;
const seenOf = (e: Passage["events"][number]): string => `${e.family} ${e.table} ${e.chain} ${e.what} ${e.verdict}`;

const END = "(end)";

/** Where two lists part, told with the entry before. */
function parting(
  seen: readonly string[],
  said: readonly string[],
): { seen: string; said: string; note: string } | null {
  let i = 0;
  while (i < seen.length && i < said.length && seen[i] === said[i]) i++;
  if (i === seen.length && i === said.length) return null;
  const after = i === 0 ? "first of all" : `after ${i} alike, the last ${seen[i - 1]}`;
  return { seen: seen[i] ?? END, said: said[i] ?? END, note: `${after} (${seen.length} seen, ${said.length} said)` };
}

/** What the packet was at each rule, where lists agree. */
function stateDifference(
  events: Passage["events"],
  met: readonly Met[],
): { seen: string; said: string; note: string } | null {
  for (const [i, e] of events.entries()) {
    const m = met[i]!;
    const where = `at ${seenOf(e)}`;
    if (e.mark !== null && e.mark !== m.mark)
      return { seen: `mark 0x${e.mark.toString(16)}`, said: `mark 0x${m.mark.toString(16)}`, note: where };
    const { src, dst, dport } = e.header;
    if ((m.dst ?? dst) !== dst || (m.dport ?? dport) !== dport)
      return { seen: `to ${dst} ${dport}`, said: `to ${m.dst} ${m.dport}`, note: where };
    if ((m.src ?? src) !== src) return { seen: `from ${src}`, said: `from ${m.src}`, note: where };
  }
  return null;
}

export interface Comparison {
  differences: Difference[];
  /** Rules and policies that both lists have. */
  events: number;
  /** What could not be compared, and why. */
  skipped: string[];
}

/** Rules of a chain that only a connection's first packet meets, by the names that nat chains go by. */
const isNat = (rule: string): boolean => /\bnat\b/.test(rule);

/** Why the two lists of one passage cannot be compared; null when they can. */
function incomparable(
  flow: TracedFlow,
  { at, direction, layer }: Pick<Passage, "at" | "direction"> & { layer: number },
  seen: readonly string[],
  said: readonly string[],
): string | null {
  // The recorder drops ICMP errors. Whether anything else should have come back shows in how far the packet got.
  if (direction === "reply" && !flow.replied) return "the packet back was not recorded";
  // Ports of tunnels are a hash: an earlier flow's entry may hold the same tuple, and then nat is not asked again.
  if (layer > 0 && seen.length > 0 && !seen.some(isNat) && said.some(isNat))
    return "the tunnel's tuple was tracked already";
  // One tunnel packet has one trace id, so that all of its rules are kept or none; an inner one may get another at a bridge.
  if (flow.crowded.has(`${at} ${direction} ${layer}`) && (layer > 0 ? seen.length === 0 : isPart(seen, said)))
    return "other packets crowded it out";
  return null;
}

/** Whether `part` is `whole` with some left out. */
function isPart(part: readonly string[], whole: readonly string[]): boolean {
  let i = 0;
  for (const w of whole) if (part[i] === w) i++;
  return i === part.length && part.length < whole.length;
}

/**
 * Compares the traced flow with one outcome's steps: the same rules and policies in the same order in every namespace that was
 * traced (`traced` tells), for each direction and layer, and the same destination, source and mark at each of them.
 */
export function comparePassages(
  flow: TracedFlow,
  steps: readonly Step[],
  traced: (place: string) => boolean,
): Comparison {
  const result: Comparison = { differences: [], events: 0, skipped: [] };
  const met = metBy(steps, flow.probe.to, flow.probe.port);
  const keys = new Map<string, { at: string; direction: Passage["direction"]; layer: number }>();
  for (const { at, direction, layer } of [...flow.passages, ...met.map((m) => m.step)])
    if (traced(at)) keys.set(`${at} ${direction} ${layer}`, { at, direction, layer });
  for (const { at, direction, layer } of keys.values()) {
    const here = `${at} ${direction} layer ${layer}`;
    const events = flow.passages
      .filter((p) => p.at === at && p.direction === direction && p.layer === layer)
      .flatMap((p) => p.events);
    const mine = met.filter(({ step: s }) => s.at === at && s.direction === direction && s.layer === layer);
    const seen = events.map(seenOf);
    const said = mine.map((m) => saidOf(m.step));
    const differs = parting(seen, said);
    if (differs !== null) {
      const why = incomparable(flow, { at, direction, layer }, seen, said);
      if (why !== null) {
        result.skipped.push(`${here}: ${why}`);
        continue;
      }
      const kind = seen.toSorted().join("\n") === said.toSorted().join("\n") ? "order" : "rules";
      result.differences.push({ kind, at: here, ...differs });
      continue;
    }
    result.events += seen.length;
    const state = stateDifference(events, mine);
    if (state !== null) result.differences.push({ kind: "rules", at: here, ...state });
  }
  return result;
}
