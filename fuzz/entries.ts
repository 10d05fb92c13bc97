/** What connection tracking holds after a probe: the kernel's entries against those that a walk leaves behind. */
import type { CtTuple } from "../src/core/model/conntrack.ts";
import { formatIp } from "../src/core/model/address.ts";
import { canonical } from "./canonical.ts";

/** [source, destination, two ports or ICMP's id and type and code, zone]. */
export type EntryTuple = [src: string, dst: string, first: number, second: number, zone: number];

/** An entry as the agent gives it (agent/conntrack.py). */
export type RawEntry = [proto: number, orig: EntryTuple, reply: EntryTuple, status: number, mark: number];

/** An entry on one line, so that it can be compared and shown. */
export interface Entry {
  /** Namespace by index. */
  ns: number;
  /** Protocol and original tuple: what it is known by. */
  key: string;
  /** Its reply tuple, status bits and mark. */
  rest: string;
  /** The client's port or ICMP id, as either tuple has it: whose it may be. */
  ports: readonly number[];
  proto: number;
}

/** IPS_SEEN_REPLY, IPS_CONFIRMED, IPS_SRC_NAT, IPS_DST_NAT; the others say how far the kernel has got with it. */
const COMPARED = 0x2 | 0x8 | 0x10 | 0x20;

const text = ([src, dst, first, second, zone]: EntryTuple): string =>
  `${canonical(src)} ${first} → ${canonical(dst)} ${second}${zone === 0 ? "" : ` zone ${zone}`}`;

const restOf = (reply: string, status: number, mark: number): string =>
  `${reply}${status & 2 ? "" : " UNREPLIED"}${status & 0x10 ? " SNAT" : ""}${status & 0x20 ? " DNAT" : ""}${mark === 0 ? "" : ` mark ${mark}`}`;

/** The kernel's entries of one namespace. */
export function entriesOf(ns: number, raw: readonly RawEntry[]): Entry[] {
  return raw.map(([proto, orig, reply, status, mark]) => ({
    ns,
    proto,
    key: `${proto} ${text(orig)}`,
    rest: restOf(text(reply), status & COMPARED, mark),
    ports: [orig[2], orig[3], reply[2], reply[3]],
  }));
}

/** A connection of a walk, in what of it is compared. */
export interface WalkConnection {
  ns: number;
  proto: number;
  orig: CtTuple;
  reply: CtTuple;
  zone: number;
  zoneDir: "both" | "orig" | "reply";
  seenReply: boolean;
  srcNat: boolean;
  dstNat: boolean;
  mark: number;
  /** Its client's port was drawn at random: in the original tuple, in the reply. */
  randomOrig: boolean;
  randomReply: boolean;
}

const isIcmp = (proto: number): boolean => proto === 1 || proto === 58;

/** The same of what a walk has left behind. */
export function entryOf(c: WalkConnection): Entry {
  const one = (t: CtTuple, zone: number): EntryTuple =>
    isIcmp(c.proto)
      ? [formatIp(t.src), formatIp(t.dst), t.icmpId, t.icmpType * 256 + t.icmpCode, zone]
      : [formatIp(t.src), formatIp(t.dst), t.sport, t.dport, zone];
  const orig = one(c.orig, c.zoneDir === "reply" ? 0 : c.zone);
  const reply = one(c.reply, c.zoneDir === "orig" ? 0 : c.zone);
  const status = (c.seenReply ? 2 : 0) | (c.srcNat ? 0x10 : 0) | (c.dstNat ? 0x20 : 0);
  return {
    ns: c.ns,
    proto: c.proto,
    key: `${c.proto} ${text(orig)}`,
    rest: restOf(text(reply), status, c.mark),
    ports: [orig[2], orig[3], reply[2], reply[3]],
  };
}

/** Protocol numbers of probes. */
export const PROTO = { tcp: () => 6, udp: () => 17, icmp: (family: 4 | 6) => (family === 4 ? 1 : 58) } as const;

const bare = (rest: string): string => rest.replace(/ mark \d+$/, "");

/**
 * Where the kernel's entries and those of a walk part; null when they agree. Of the kernel's only those of the probe's protocol that have
 * its own port (`port`, or the id of its echo) are looked at, and only with `all`: of a packet that got lost the walk does not follow
 * every copy that a bridge makes. Without `marks` their marks are not compared.
 */
export function entriesDiffer(
  kernel: readonly Entry[],
  told: readonly Entry[],
  { proto, port, all, marks }: { proto: number; port: number; all: boolean; marks: boolean },
): string | null {
  const held = new Map(kernel.map((e) => [`${e.ns} ${e.key}`, e]));
  const foretold = new Map(told.map((e) => [`${e.ns} ${e.key}`, e]));
  for (const [k, e] of foretold) {
    const there = held.get(k);
    if (there === undefined) return `namespace ${e.ns}: foretold ${e.key} | ${e.rest}; the kernel has no such entry`;
    const [seen, expected] = marks ? [there.rest, e.rest] : [bare(there.rest), bare(e.rest)];
    if (seen !== expected) return `namespace ${e.ns}: ${e.key}: foretold ${e.rest}; the kernel has ${there.rest}`;
  }
  for (const [k, e] of held)
    if (all && !foretold.has(k) && e.proto === proto && e.ports.includes(port))
      return `namespace ${e.ns}: the kernel has ${e.key} | ${e.rest}; the walk leaves none`;
  return null;
}
