/** Tells packets apart in traces, and knows one again after NAT and in other namespaces. */
import { RECORDER, type TracedHeader, type Visit } from "./nft-trace.ts";

export const tupleText = (src: string, sport: number, dst: string, dport: number): string =>
  `${src} ${sport} ${dst} ${dport}`;
export const tupleOf = (h: TracedHeader): string => tupleText(h.src, h.sport, h.dst, h.dport);
export const reverseOf = (h: TracedHeader): string => tupleText(h.dst, h.dport, h.src, h.sport);

/** What stays the same of a packet on all its way, NAT or not. */
export const identity = (h: TracedHeader): string => `${h.v} ${h.proto} ${h.id} ${h.length} ${h.flags}`;

export const isTunnel = (h: TracedHeader): boolean =>
  (h.proto === "udp" && (h.dport === 8472 || h.dport === 4789)) || h.ipip;

/** The visits of `visits` that a packet made which `is` recognises, up to where it is sent again. */
export function once(visits: readonly Visit[], is: (h: TracedHeader) => boolean): Set<Visit> {
  const found = new Set<Visit>();
  const entered = new Set<string>();
  for (const v of visits) {
    if (!is(v.header)) continue;
    if (v.table === RECORDER) {
      const again = `${v.chain} ${v.header.text}`;
      if (entered.has(again)) break;
      entered.add(again);
    }
    found.add(v);
  }
  return found;
}
