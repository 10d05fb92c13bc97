/** Finds, in the traces of all namespaces, the first packet of a connection and the first that comes back. */
import { parseNftTrace, RECORDER, type TracedEvent, type TracedHeader, type Visit } from "./nft-trace.ts";
import { isProbe, type Probe, type Trace } from "./truth.ts";

const SYN = 2;
const RST = 4;
const ACK = 16;

/** What one namespace's rules did to one packet on one layer. */
export interface Passage {
  at: string;
  direction: "forward" | "reply";
  /** 1: to what carries the packet through a tunnel. */
  layer: 0 | 1;
  events: (TracedEvent & { family: string; table: string; header: TracedHeader })[];
}

export interface TracedFlow {
  probe: Probe;
  /** Null: the recording does not hold the first packet. */
  first: TracedHeader | null;
  passages: Passage[];
  /** The first packet back was seen: a SYN-ACK, a RST or a datagram. ICMP errors are not recorded. */
  replied: boolean;
  /** Tuples that the forward packet had, as text, by place. */
  tuples: Map<string, Set<string>>;
}

export const tupleText = (src: string, sport: number, dst: string, dport: number): string =>
  `${src} ${sport} ${dst} ${dport}`;
const tupleOf = (h: TracedHeader): string => tupleText(h.src, h.sport, h.dst, h.dport);
const reverseOf = (h: TracedHeader): string => tupleText(h.dst, h.dport, h.src, h.sport);

/** What stays the same of a packet on all its way, NAT or not. */
const identity = (h: TracedHeader): string => `${h.v} ${h.proto} ${h.id} ${h.length} ${h.flags}`;

/** The same of a tunnel's packet: IPv6 has no identification, but there the tunnel's source port tells flows apart. */
const outerIdentity = (h: TracedHeader): string => (h.v === 4 ? identity(h) : `${identity(h)} ${tupleOf(h)}`);

const isTunnel = (h: TracedHeader): boolean => (h.proto === "udp" && (h.dport === 8472 || h.dport === 4789)) || h.ipip;

/** Bytes that a tunnel adds to the length in the header printed: of the inner one, to the outer one (RFC 7348 §5, RFC 2003). */
function carries(outer: TracedHeader, inner: TracedHeader): boolean {
  const innerTotal = inner.length + (inner.v === 6 ? 40 : 0);
  const outerTotal = outer.length + (outer.v === 6 ? 40 : 0);
  const header = outer.v === 6 ? 40 : 20;
  return outerTotal - innerTotal === (outer.ipip ? header : header + 8 + 8 + 14);
}

const opensAt = (v: Visit, hook: "p" | "o"): boolean => v.table === RECORDER && v.chain === hook;

function isFirst(h: TracedHeader, p: Probe): boolean {
  if (h.proto !== p.proto || h.dst !== p.to || h.dport !== p.port) return false;
  if (p.proto === "tcp" && h.flags !== SYN) return false;
  return p.clientPorts.length === 0 || p.clientPorts.includes(h.sport);
}

/** The visits of `visits` that a packet made which `is` recognises, up to where it is sent again. */
function once(visits: readonly Visit[], is: (h: TracedHeader) => boolean): Set<Visit> {
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

/** The most frequent of the identities with which each place's first packet back begins. */
function commonIdentity(
  byPlace: ReadonlyMap<string, readonly Visit[]>,
  is: (h: TracedHeader) => boolean,
): string | null {
  const votes = new Map<string, number>();
  for (const visits of byPlace.values()) {
    const first = visits.find((v) => is(v.header));
    if (first !== undefined) votes.set(identity(first.header), (votes.get(identity(first.header)) ?? 0) + 1);
  }
  return [...votes].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/**
 * Tunnel packets that carried the marked visits of one direction. In the sending namespace the outer packet enters OUTPUT right after
 * the inner one has left POSTROUTING; in the receiving one the inner enters PREROUTING right after the outer has left INPUT.
 */
function carriers(
  byPlace: ReadonlyMap<string, readonly Visit[]>,
  inner: ReadonlyMap<string, ReadonlySet<Visit>>,
): Map<string, Set<Visit>> {
  const outer = new Set<string>();
  for (const [at, visits] of byPlace) {
    const mine = inner.get(at) ?? new Set();
    visits.forEach((v, i) => {
      if (!isTunnel(v.header)) return;
      const before = visits[i - 1];
      const after = visits[i + 1];
      const sent = opensAt(v, "o") && before !== undefined && mine.has(before) && carries(v.header, before.header);
      const received = after !== undefined && opensAt(after, "p") && mine.has(after) && carries(v.header, after.header);
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

function passages(at: string, direction: Passage["direction"], layer: 0 | 1, visits: ReadonlySet<Visit>): Passage[] {
  if (visits.size === 0) return [];
  const events = [...visits].flatMap((v) =>
    v.events.map((e) => ({ ...e, family: v.family, table: v.table, header: v.header })),
  );
  return [{ at, direction, layer, events }];
}

/** Joins a trace's namespaces. Null when the probe could not be made. */
export function flowOf(trace: Trace): TracedFlow | null {
  const probe = trace.probe;
  if (!isProbe(probe)) return null;
  const byPlace = new Map(Object.entries(trace.nft).map(([at, text]) => [at, parseNftTrace(text)]));
  const places = [...byPlace.keys()].toSorted(
    (a, b) =>
      Number(b === probe.from) - Number(a === probe.from) || Number(b === "fabric/host") - Number(a === "fabric/host"),
  );
  const first =
    places.map((at) => byPlace.get(at)!.find((v) => isFirst(v.header, probe))).find((v) => v !== undefined)?.header ??
    null;
  const tuples = new Map<string, Set<string>>();
  const flow: TracedFlow = { probe, first, passages: [], replied: false, tuples };
  if (first === null) return flow;

  const forward = new Map(
    [...byPlace].map(([at, visits]) => [at, once(visits, (h) => identity(h) === identity(first))]),
  );
  const all = new Set<string>();
  for (const [at, visits] of forward) {
    const here = new Set([...visits].map((v) => tupleOf(v.header)));
    tuples.set(at, here);
    for (const t of here) all.add(t);
  }
  const isReply = (h: TracedHeader): boolean =>
    h.proto === probe.proto &&
    all.has(reverseOf(h)) &&
    (probe.proto !== "tcp" || (h.flags & RST) !== 0 || (h.flags & (SYN | ACK)) === (SYN | ACK));
  const back = commonIdentity(byPlace, isReply);
  const reply = new Map(
    [...byPlace].map(([at, visits]) => [at, once(visits, (h) => isReply(h) && identity(h) === back)]),
  );
  flow.replied = back !== null;
  const outerForward = carriers(byPlace, forward);
  const outerReply = carriers(byPlace, reply);
  for (const at of byPlace.keys()) {
    flow.passages.push(
      ...passages(at, "forward", 0, forward.get(at)!),
      ...passages(at, "forward", 1, outerForward.get(at)!),
    );
    flow.passages.push(...passages(at, "reply", 0, reply.get(at)!), ...passages(at, "reply", 1, outerReply.get(at)!));
  }
  return flow;
}
