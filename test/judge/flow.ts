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
  /** Passages of which packets may be missing, as `PLACE DIRECTION LAYER`: others had used up what the recorder keeps. */
  crowded: Set<string>;
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

/** Links of the namespace that tunnels leave by: POSTROUTING still shows them as where the outer packet comes from. */
const tunnelLinks = (visits: readonly Visit[]): Set<string> =>
  new Set(visits.flatMap(({ header: h }) => (isTunnel(h) && h.iif !== null && h.oif !== null ? [h.iif] : [])));

/**
 * Tunnel packets that carried the marked visits of one direction. In the sending namespace the outer packet enters OUTPUT right after
 * the inner one has left by the tunnel's link; in the receiving one the inner enters PREROUTING by that link right after the outer has
 * left INPUT (or PREROUTING, where INPUT has no chains; where neither has, there is nothing to compare).
 */
function carriers(
  byPlace: ReadonlyMap<string, readonly Visit[]>,
  inner: ReadonlyMap<string, ReadonlySet<Visit>>,
): Map<string, Set<Visit>> {
  const outer = new Set<string>();
  for (const [at, visits] of byPlace) {
    const mine = inner.get(at) ?? new Set();
    const links = tunnelLinks(visits);
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
      const arrives = v.table !== RECORDER && iif !== null && oif === null;
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

function passages(at: string, direction: Passage["direction"], layer: 0 | 1, visits: ReadonlySet<Visit>): Passage[] {
  if (visits.size === 0) return [];
  const events = [...visits].flatMap((v) =>
    v.events.map((e) => ({ ...e, family: v.family, table: v.table, header: v.header })),
  );
  return [{ at, direction, layer, events }];
}

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

/** Passages at `at` of which packets may be missing: KEPT others of a kind that they could be came first. */
function crowdedAt(at: string, visits: readonly Visit[], port: number, isOurs: (h: TracedHeader) => boolean): string[] {
  const ids = new Map<string, string | null>();
  const others = new Map<string, number>();
  const ours = new Set<string>();
  for (const v of visits) {
    if (ids.has(v.id)) continue;
    const kind = kindOf(v.header, port);
    ids.set(v.id, kind);
    if (kind === null) continue;
    // Of a kind that holds a packet of the flow the first one was kept too.
    if (isOurs(v.header)) ours.add(kind);
    else others.set(kind, (others.get(kind) ?? 0) + 1);
  }
  const full = [...others].filter(([kind, n]) => n >= KEPT && !ours.has(kind)).map(([kind]) => kind);
  // Both directions' tunnel packets are of one kind, so that one of them is there says nothing of the other.
  const tunnels = [...ids.values()].filter((kind) => kind?.startsWith("tunnel")).length;
  const crowded = tunnels >= KEPT ? [`${at} forward 1`, `${at} reply 1`] : [];
  const forward = full.some((k) => k.startsWith("to ")) ? [`${at} forward 0`] : [];
  return [...crowded, ...forward, ...(full.some((k) => k.startsWith("from ")) ? [`${at} reply 0`] : [])];
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
  const flow: TracedFlow = { probe, first, passages: [], replied: false, tuples, crowded: new Set() };
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
  for (const [at, visits] of byPlace) {
    const carried = [...outerForward.get(at)!, ...outerReply.get(at)!].map((v) => v.header);
    const isOurs = (h: TracedHeader): boolean => all.has(tupleOf(h)) || all.has(reverseOf(h)) || carried.includes(h);
    for (const passage of crowdedAt(at, visits, probe.port, isOurs)) flow.crowded.add(passage);
    flow.passages.push(
      ...passages(at, "forward", 0, forward.get(at)!),
      ...passages(at, "forward", 1, outerForward.get(at)!),
    );
    flow.passages.push(...passages(at, "reply", 0, reply.get(at)!), ...passages(at, "reply", 1, outerReply.get(at)!));
  }
  return flow;
}
