/** Compares the connection tracking entries that a traced flow left with those that a walk says it leaves. */
import type { Step, StepTuple } from "../../src/core/model/walk.ts";
import { parseConntrackLine, type RecordedEntry, type RecordedTuple } from "./conntrack-lines.ts";
import type { TracedFlow } from "./flow.ts";
import { tupleText } from "./packet-identity.ts";
import type { Trace } from "./truth.ts";

export interface EntryDifference {
  at: string;
  seen: string;
  said: string;
}

const PROTO: Readonly<Record<string, string>> = { "6": "tcp", "17": "udp", "132": "sctp", "1": "icmp", "58": "icmpv6" };

type Entry = NonNullable<Step["conntrack"]>;

/** A port that the walk leaves out is one that the kernel takes at random. */
const sameTuple = (seen: RecordedTuple, said: StepTuple): boolean =>
  seen.src === said.src &&
  seen.dst === said.dst &&
  (said.sport ?? seen.sport) === seen.sport &&
  (said.dport ?? seen.dport) === seen.dport;

const same = (seen: RecordedEntry, said: Entry): boolean =>
  seen.proto === (PROTO[said.proto] ?? said.proto) &&
  sameTuple(seen.original, said.original) &&
  sameTuple(seen.reply, said.reply);

/**
 * The port that an entry had to take because another one holds the tuple, where it differs by nothing else: nf_nat_setup_info moves even
 * connections without NAT out of the way (get_unique_tuple, net/netfilter/nf_nat_core.c). Null when that is not so.
 */
function portMovedTo(said: Entry, recorded: readonly RecordedEntry[]): number | null {
  const { dport: _, ...reply } = said.reply;
  const mine = recorded.find((r) => same(r, { ...said, reply }) && r.reply.dport !== said.reply.dport);
  const taken = recorded.some((r) => r !== mine && sameTuple(r.reply, said.reply));
  return mine !== undefined && taken ? mine.reply.dport : null;
}

/** The same entry after its connection's port was moved from one number to another on the way. */
function withPort(e: Entry, from: number | undefined, to: number): Entry {
  const { original, reply } = e;
  return {
    ...e,
    original: original.sport === from ? { ...original, sport: to } : original,
    reply: reply.dport === from ? { ...reply, dport: to } : reply,
  };
}

const tuple = (t: StepTuple): string => `${t.src} ${t.sport ?? "*"} → ${t.dst} ${t.dport ?? "*"}`;
const describe = (e: { proto: string; original: StepTuple; reply: StepTuple }): string =>
  `${PROTO[e.proto] ?? e.proto} ${tuple(e.original)}, back ${tuple(e.reply)}`;

/**
 * Entries that only one of them has. Recorded lines were picked by port alone, so only those count whose original tuple the traced packet
 * had in that namespace. Nothing was recorded where the probe had no source port to look for.
 */
export function compareEntries(
  trace: Trace,
  flow: TracedFlow,
  steps: readonly Step[],
  traced: (place: string) => boolean,
): { differences: EntryDifference[]; entries: number } {
  const differences: EntryDifference[] = [];
  let entries = 0;
  if (flow.probe.clientPorts.length === 0) return { differences, entries };
  const said = new Map<string, Entry[]>();
  for (const s of steps) {
    if (s.conntrack === undefined || s.layer > 0 || !traced(s.at)) continue;
    said.set(s.at, [...(said.get(s.at) ?? []), s.conntrack]);
  }
  const recordedAt = (at: string): RecordedEntry[] =>
    (trace.conntrack[at] ?? []).flatMap((l) => parseConntrackLine(l) ?? []);
  const moved = [...said].flatMap(([at, mine]) =>
    mine.flatMap((e) => {
      const to = portMovedTo(e, recordedAt(at));
      return to === null ? [] : [{ from: e.reply.dport, to }];
    }),
  );
  const fits = (r: RecordedEntry, e: Entry): boolean =>
    same(r, e) ||
    moved.some(
      ({ from, to }) => same(r, withPort(e, from, to)) || same(r, { ...e, reply: withPort(e, from, to).reply }),
    );
  for (const at of new Set([...said.keys(), ...Object.keys(trace.conntrack)])) {
    const mine = said.get(at) ?? [];
    const recorded = recordedAt(at);
    for (const e of mine) {
      if (recorded.some((r) => fits(r, e))) entries++;
      else differences.push({ at, seen: recorded.map(describe).join("; ") || "no entry", said: describe(e) });
    }
    const tuples = flow.tuples.get(at);
    for (const r of recorded) {
      const { src, sport, dst, dport } = r.original;
      if (
        tuples?.has(tupleText(src, sport, dst, dport)) &&
        r.proto === flow.probe.proto &&
        !mine.some((e) => fits(r, e))
      )
        differences.push({ at, seen: describe(r), said: mine.map(describe).join("; ") || "no entry" });
    }
  }
  return { differences, entries };
}
