/** What the recorder did not keep because other packets came first (realcluster/record, trace). */
import type { TracedHeader, Visit } from "./nft-trace.ts";
import { isTunnel } from "./packet-identity.ts";

/** So many packets of each kind the recorder keeps, in each namespace; a packet is of the first kind that fits. */
const KEPT = 8;
const SERVER_PORTS: readonly number[] = [8080, 8081, 9000, 9001, 9100, 53];

function kindOf(h: TracedHeader, port: number): string | null {
  if (h.dport === port) return "to the port";
  if (h.sport === port) return "from the port";
  if (isTunnel(h)) return `tunnel ${h.dport}`;
  if (SERVER_PORTS.includes(h.dport)) return "to a server";
  return SERVER_PORTS.includes(h.sport) ? "from a server" : null;
}

/**
 * Passages through this namespace of which packets may be missing, as `DIRECTION LAYER`: those that could be of a kind that was full, or
 * nearly so, when the flow's first packet came. Nearly, because a packet that meets a bridge takes a second trace id there.
 */
export function crowdedPassages(
  visits: readonly Visit[],
  port: number,
  isOurs: (h: TracedHeader) => boolean,
): string[] {
  const ids = new Set<string>();
  /** How many of each kind were kept, and how many before the flow's own. */
  const kept = new Map<string, { all: number; before: number | null }>();
  for (const v of visits) {
    if (ids.has(v.id)) continue;
    ids.add(v.id);
    const kind = kindOf(v.header, port);
    if (kind === null) continue;
    const count = kept.get(kind) ?? { all: 0, before: null };
    if (isOurs(v.header)) count.before ??= count.all;
    count.all++;
    kept.set(kind, count);
  }
  const passages: string[] = [];
  for (const [kind, { all, before }] of kept) {
    if (all < KEPT) continue;
    // Both directions' tunnel packets are of one kind, so that one of them is there says nothing of the other.
    if (kind.startsWith("tunnel")) passages.push("forward 1", "reply 1");
    else if ((before ?? all) >= KEPT - 1) passages.push(kind.startsWith("to ") ? "forward 0" : "reply 0");
  }
  return passages;
}
