/** Finds, in the traces of all namespaces, the first packet of a connection and the first that comes back. */
import { carriers } from "./carriers.ts";
import { crowdedPassages } from "./crowded.ts";
import { parseNftTrace, type TracedEvent, type TracedHeader, type Visit } from "./nft-trace.ts";
import { identity, once, reverseOf, tupleOf } from "./packet-identity.ts";
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

function isFirst(h: TracedHeader, p: Probe): boolean {
  if (h.proto !== p.proto || h.dst !== p.to || h.dport !== p.port) return false;
  if (p.proto === "tcp" && h.flags !== SYN) return false;
  return p.clientPorts.length === 0 || p.clientPorts.includes(h.sport);
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
    for (const passage of crowdedPassages(visits, probe.port, isOurs)) flow.crowded.add(`${at} ${passage}`);
    flow.passages.push(
      ...passages(at, "forward", 0, forward.get(at)!),
      ...passages(at, "forward", 1, outerForward.get(at)!),
    );
    flow.passages.push(...passages(at, "reply", 0, reply.get(at)!), ...passages(at, "reply", 1, outerReply.get(at)!));
  }
  return flow;
}
