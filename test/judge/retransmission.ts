/**
 * What a program meets that sends its first segment again. A walk follows one packet; the recorder's TCP client gives up after 1.2
 * seconds, and by then its kernel has sent the SYN twice: RFC 6298 §2.1, TCP_TIMEOUT_INIT (include/net/tcp.h), 1 second.
 *
 * The second SYN goes the way of the first wherever that left a connection tracking entry, for nat does not choose again. But a packet
 * dropped before its entry is confirmed, at the end of POSTROUTING or INPUT, takes the entry with it (nf_conntrack_confirm,
 * net/netfilter/nf_conntrack_core.c): then chance decides anew, and a backend that answers may come up. Hashes of the flow (ECMP) do
 * not change.
 */
import type { Answer, Share, Step } from "../../src/core/model/walk.ts";
import { seenOf, sumToOne, valueOf, type Seen } from "./outcomes.ts";

/** Rules that decide by chance, in the words of xtables and nftables. */
const BY_CHANCE = /-m statistic\b|\bnumgen random\b/;

interface Path {
  seen: Seen;
  share: Share;
  steps: readonly Step[];
}

/** Places that a packet passes, in order, on its way there. */
function placesOf(steps: readonly Step[]): string[] {
  const forward = steps.filter((s) => s.direction === "forward").map((s) => s.at);
  return forward.filter((at, i) => at !== forward[i - 1]);
}

/** Whether the packet left a connection tracking entry there. */
const isTracked = (steps: readonly Step[], at: string): boolean =>
  steps.some((s) => s.direction === "forward" && s.layer === 0 && s.at === at && s.conntrack !== undefined);

/** Whether answers need their paths for this to be told: TCP that may time out, or not. */
export const needsPaths = (a: Answer): boolean =>
  a.proto === "tcp" &&
  a.outcomes.length > 1 &&
  a.outcomes.some((o) => o.client === "timeout") &&
  a.outcomes.every((o) => o.share !== null);

/**
 * Chances of what is met after one retransmission, by what is seen. Null when the answer does not show all of its paths with their
 * shares, or when none of it changes.
 */
export function afterRetransmission(a: Answer): Map<Seen, number> | null {
  const paths: Path[] = [];
  for (const o of a.outcomes)
    for (const p of o.paths ?? [])
      if (p.share !== null) paths.push({ seen: seenOf(o), share: p.share, steps: p.steps });
  if (!needsPaths(a) || paths.length === 0 || !sumToOne(paths.map((p) => p.share))) return null;
  const deciders = new Set(
    paths.flatMap((p) =>
      p.steps.filter((s) => s.direction === "forward" && s.kind === "rule" && BY_CHANCE.test(s.text)).map((s) => s.at),
    ),
  );
  const drawn = paths.map((p) => {
    const places = placesOf(p.steps);
    const last = places.findLastIndex((at) => deciders.has(at));
    const forgotten = last >= 0 && p.seen === "timeout" && !isTracked(p.steps, places[last]!);
    return { ...p, value: valueOf(p.share), forgotten, reached: places.slice(0, last + 1).join(" ") };
  });
  const chances = new Map<Seen, number>();
  const add = (seen: Seen, p: number): unknown => chances.set(seen, (chances.get(seen) ?? 0) + p);
  for (const p of drawn) {
    if (!p.forgotten) {
      add(p.seen, p.value);
      continue;
    }
    const again = drawn.filter((q) => q.reached === p.reached);
    const total = again.reduce((sum, q) => sum + q.value, 0);
    for (const q of again) add(q.seen, (p.value * q.value) / total);
  }
  return chances;
}
