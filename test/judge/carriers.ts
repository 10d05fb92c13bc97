/** Finds the tunnel packets that carried a packet between namespaces. */
import { RECORDER, type TracedHeader, type Visit } from "./nft-trace.ts";
import { identity, isTunnel, once, tupleOf } from "./packet-identity.ts";

/** The same of a tunnel's packet: IPv6 has no identification, but there the tunnel's source port tells flows apart. */
const outerIdentity = (h: TracedHeader): string => (h.v === 4 ? identity(h) : `${identity(h)} ${tupleOf(h)}`);

/**
 * Whether one packet fits into the other: a tunnel adds its headers to the length (RFC 7348 §5, RFC 2003); what the trace prints of the
 * inner bytes, if any, must be the inner packet's.
 */
function carries(outer: TracedHeader, inner: TracedHeader): boolean {
  const innerTotal = inner.length + (inner.v === 6 ? 40 : 0);
  const outerTotal = outer.length + (outer.v === 6 ? 40 : 0);
  const header = outer.v === 6 ? 40 : 20;
  if (outerTotal - innerTotal !== (outer.ipip ? header : header + 8 + 8 + 14)) return false;
  const { carried } = outer;
  return carried === null || (carried.v === inner.v && carried.id === inner.id && carried.length === inner.length);
}

const opensAt = (v: Visit, hook: "p" | "o"): boolean => v.table === RECORDER && v.chain === hook;

/** Links that tunnels leave by: POSTROUTING still shows them as where the outer packet comes from. */
const tunnelLinks = (visits: readonly Visit[]): Set<string> =>
  new Set(visits.flatMap(({ header: h }) => (isTunnel(h) && h.iif !== null && h.oif !== null ? [h.iif] : [])));

/**
 * Tunnel packets that carried the marked visits of one direction. In the sending namespace the outer packet enters OUTPUT right after
 * the inner one has left by the tunnel's link; in the receiving one the inner enters PREROUTING by that link right after the outer has
 * left INPUT (or PREROUTING, where INPUT has no chains; where neither has, there is nothing to compare).
 */
export function carriers(
  byPlace: ReadonlyMap<string, readonly Visit[]>,
  inner: ReadonlyMap<string, ReadonlySet<Visit>>,
): Map<string, Set<Visit>> {
  const outer = new Set<string>();
  const links = tunnelLinks([...byPlace.values()].flat());
  for (const [at, visits] of byPlace) {
    const mine = inner.get(at) ?? new Set();
    const byTunnel = (link: string | null, uplink: string | null): boolean =>
      link !== null && link !== uplink && (links.size === 0 || links.has(link));
    const carried = (inside: Visit | undefined, v: Visit): inside is Visit =>
      inside !== undefined && mine.has(inside) && carries(v.header, inside.header);
    visits.forEach((v, i) => {
      if (!isTunnel(v.header)) return;
      const before = visits[i - 1];
      const after = visits[i + 1];
      const { iif, oif } = v.header;
      const sent = opensAt(v, "o") && carried(before, v) && byTunnel(before.header.oif, oif);
      const arrives = v.table !== RECORDER && iif !== null && oif === null && v.events.at(-1)?.verdict !== "drop";
      const received = arrives && carried(after, v) && opensAt(after, "p") && byTunnel(after.header.iif, iif);
      if (sent || received) outer.add(outerIdentity(v.header));
    });
  }
  const found = new Map<string, Set<Visit>>();
  for (const [at, visits] of byPlace)
    found.set(
      at,
      once(visits, (h) => isTunnel(h) && outer.has(outerIdentity(h))),
    );
  return found;
}
