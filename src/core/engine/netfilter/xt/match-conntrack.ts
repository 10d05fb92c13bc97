/** Matches on the packet's connection: xt_conntrack, xt_state, xt_connmark, xt_helper. */
import { inPrefix } from "../../../model/address.ts";
import type { Prefix } from "../../../model/address.ts";
import type { CtTuple } from "../../../model/conntrack.ts";
import type { Range, XtMatch } from "../../../model/xtables.ts";
import type { Connection } from "../../connection.ts";
import { templateOf } from "../../template.ts";
import { ICMP, IPV6_ICMP } from "../../packet.ts";
import type { Packet } from "../../packet.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { Test } from "../program.ts";

export type ConntrackMatch = Extract<XtMatch, { m: "conntrack" }>;

/** XT_CONNTRACK_STATE_* (xt_conntrack.h). */
const INVALID = 1;
const ESTABLISHED = 2;
const RELATED = 4;
const NEW = 8;
const SNAT = 64;
const DNAT = 128;
const UNTRACKED = 256;

const STATES: ReadonlyMap<string, number> = new Map([
  ["INVALID", INVALID],
  ["ESTABLISHED", ESTABLISHED],
  ["RELATED", RELATED],
  ["NEW", NEW],
  ["SNAT", SNAT],
  ["DNAT", DNAT],
  ["UNTRACKED", UNTRACKED],
]);

/** IPS_* bits that `--ctstatus` names. NONE is no bit, and so never found (conntrack_mt: !!(mask & status)). */
const EXPECTED = 1;
const SEEN_REPLY = 2;
const ASSURED = 4;
const CONFIRMED = 8;

const STATUSES: ReadonlyMap<string, number> = new Map([
  ["NONE", 0],
  ["EXPECTED", EXPECTED],
  ["SEEN_REPLY", SEEN_REPLY],
  ["ASSURED", ASSURED],
  ["CONFIRMED", CONFIRMED],
]);

/** Bits of names; -1 when one is unknown. */
function bitsOf(names: readonly string[], table: ReadonlyMap<string, number>): number {
  let bits = 0;
  for (const name of names) {
    const bit = table.get(name.toUpperCase());
    if (bit === undefined) return -1;
    bits |= bit;
  }
  return bits;
}

/**
 * The state bits of conntrack_mt: where the packet stands, and SNAT and DNAT as the connection's status has them in either direction.
 * Before conntrack has seen the packet, and when it could not place it, INVALID.
 */
function stateBits(pkt: Packet): number {
  const ct = pkt.ct;
  // A template counts as a connection (xt_ct_target: IP_CT_NEW).
  if (ct === null)
    return pkt.ctInfo === "untracked" ? UNTRACKED : pkt.template && pkt.ctInfo === "none" ? NEW : INVALID;
  let bits = pkt.ctInfo === "new" ? NEW : pkt.ctInfo === "related" ? RELATED : ESTABLISHED;
  if (ct.srcNat) bits |= SNAT;
  if (ct.dstNat) bits |= DNAT;
  return bits;
}

function statusBits(ct: Connection): number {
  return (
    (ct.expected ? EXPECTED : 0) |
    (ct.seenReply ? SEEN_REPLY : 0) |
    (ct.assured ? ASSURED : 0) |
    (ct.confirmed ? CONFIRMED : 0)
  );
}

/** tuple.src.u.all and tuple.dst.u.all: ports, or ICMP's identifier and its type and code. */
function sourcePort(tuple: CtTuple, proto: number): number {
  return proto === ICMP || proto === IPV6_ICMP ? tuple.icmpId : tuple.sport;
}

function destinationPort(tuple: CtTuple, proto: number): number {
  return proto === ICMP || proto === IPV6_ICMP ? tuple.icmpType * 256 + tuple.icmpCode : tuple.dport;
}

type OfConnection = (ct: Connection) => boolean;

function addressCondition(
  spec: { not: boolean; prefix: Prefix } | null,
  side: (ct: Connection) => CtTuple,
  end: "src" | "dst",
): OfConnection[] {
  if (spec === null) return [];
  const { not, prefix } = spec;
  return [(ct) => inPrefix(side(ct)[end], prefix) !== not];
}

function portCondition(
  spec: { not: boolean; range: Range } | null,
  side: (ct: Connection) => CtTuple,
  port: (tuple: CtTuple, proto: number) => number,
): OfConnection[] {
  if (spec === null) return [];
  const { not, range } = spec;
  return [
    (ct) => {
      const p = port(side(ct), ct.proto);
      return (p >= range[0] && p <= range[1]) !== not;
    },
  ];
}

const orig = (ct: Connection): CtTuple => ct.orig;
const reply = (ct: Connection): CtTuple => ct.reply;

/** conntrack_mt (xt_conntrack.c); `-m state` is the same with the state alone (state_mt). */
export function conntrack(m: ConntrackMatch): Test {
  const states = m.state === null ? 0 : bitsOf(m.state.states, STATES);
  const statuses = m.status === null ? 0 : bitsOf(m.status.statuses, STATUSES);
  if (states < 0 || statuses < 0) {
    return (s) => {
      s.why = "a conntrack state or status of the rule is not known";
      return MAYBE;
    };
  }
  const wantState = m.state === null ? null : !m.state.not;
  const conditions: OfConnection[] = [
    ...addressCondition(m.origsrc, orig, "src"),
    ...addressCondition(m.origdst, orig, "dst"),
    ...addressCondition(m.replsrc, reply, "src"),
    ...addressCondition(m.repldst, reply, "dst"),
    ...portCondition(m.origsrcport, orig, sourcePort),
    ...portCondition(m.origdstport, orig, destinationPort),
    ...portCondition(m.replsrcport, reply, sourcePort),
    ...portCondition(m.repldstport, reply, destinationPort),
  ];
  const { proto, status } = m;
  if (proto !== null) conditions.push((ct) => (ct.proto === proto.proto) !== proto.not);
  if (status !== null) conditions.push((ct) => ((statusBits(ct) & statuses) !== 0) !== status.not);
  const { dir, expire } = m;
  if (wantState !== null && conditions.length === 0 && dir === null && expire === null) {
    const hit = wantState ? YES : NO;
    const other = wantState ? NO : YES;
    return (s) => ((stateBits(s.pkt) & states) !== 0 ? hit : other);
  }
  return (s) => {
    const ct = s.pkt.ct ?? templateOf(s.pkt);
    if (wantState !== null && ((stateBits(s.pkt) & states) !== 0) !== wantState) return NO;
    // Without a connection nothing but the state is asked: `return info->match_flags & XT_CONNTRACK_STATE`.
    if (ct === null) return wantState === null ? NO : YES;
    if (dir !== null && s.pkt.ctReply !== (dir === "REPLY")) return NO;
    for (let i = 0; i < conditions.length; i++) if (!conditions[i]!(ct)) return NO;
    if (expire === null) return YES;
    s.why = "how long the connection has to live is not modelled";
    return MAYBE;
  };
}

/** connmark_mt: without a connection no match, inverted or not. */
export function connmark(value: number, mask: number, not: boolean): Test {
  const want = value >>> 0;
  return (s) => {
    const ct = s.pkt.ct ?? templateOf(s.pkt);
    if (ct === null) return NO;
    return ((ct.mark & mask) >>> 0 === want) === not ? NO : YES;
  };
}

/** helper_mt: it is the helper of the connection that announced this one. */
export function helper(name: string, not: boolean): Test {
  return (s) => {
    const ct = s.pkt.ct;
    if (ct === null || !ct.expected) return not ? YES : NO;
    s.why = `which helper announced the connection (${name}?) is not recorded`;
    return MAYBE;
  };
}
