/** Matches on TCP, UDP, SCTP and ICMP headers. Later fragments have no such header and match nothing, inverted or not. */
import type { Range } from "../../../model/xtables.ts";
import { ICMP, IPV6_ICMP, SCTP, SYN, TCP, UDP } from "../../packet.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { Test } from "../program.ts";
import { undecided } from "./env.ts";

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["tcp", TCP],
  ["udp", UDP],
  ["sctp", SCTP],
  ["dccp", 33],
  ["udplite", 136],
]);

/** Protocol number of a module with ports; null for a name that is none. */
export function protocolOfModule(module: string): number | null {
  return PROTOCOLS.get(module) ?? null;
}

/** tcp_mt, udp_mt, sctp_mt, dccp_mt: port_match(min, max, port, invert). */
export function port(end: "sport" | "dport", module: string, range: Range, not: boolean): Test {
  const proto = protocolOfModule(module);
  if (proto === null) return undecided(`ports of ${module} are not modelled`);
  const [from, to] = range;
  if (from === to && !not) {
    return end === "sport"
      ? (s) => (s.pkt.sport === from && s.pkt.proto === proto && !s.pkt.laterFragment ? YES : NO)
      : (s) => (s.pkt.dport === from && s.pkt.proto === proto && !s.pkt.laterFragment ? YES : NO);
  }
  return (s) => {
    const { pkt } = s;
    if (pkt.proto !== proto || pkt.laterFragment) return NO;
    const p = end === "sport" ? pkt.sport : pkt.dport;
    return (p >= from && p <= to) === not ? NO : YES;
  };
}

/** tcp_mt: (flags & mask) == compare. */
export function tcpFlags(mask: number, comp: number, not: boolean): Test {
  return (s) => {
    const { pkt } = s;
    if (pkt.proto !== TCP || pkt.laterFragment) return NO;
    return ((pkt.tcpFlags & mask) === comp) === not ? NO : YES;
  };
}

/** tcp_find_option: a packet's TCP options are not modelled. */
export function tcpOption(option: number): Test {
  return (s) => {
    if (s.pkt.proto !== TCP || s.pkt.laterFragment) return NO;
    s.why = `TCP option ${option} of the packet is not modelled`;
    return MAYBE;
  };
}

/** tcpmss_mt: only a SYN carries the option; where it is missing the answer is `invert`. */
export function tcpMss(not: boolean): Test {
  return (s) => {
    const { pkt } = s;
    if (pkt.proto !== TCP || pkt.laterFragment) return NO;
    if ((pkt.tcpFlags & SYN) === 0) return not ? YES : NO;
    s.why = "the MSS that the packet offers is not modelled";
    return MAYBE;
  };
}

/** icmp_type_code_match, icmp6_type_code_match: IPv4's type 255 is any. */
export function icmp(v6: boolean, type: number, code: Range, not: boolean): Test {
  const proto = v6 ? IPV6_ICMP : ICMP;
  const any = !v6 && type === 255;
  return (s) => {
    const { pkt } = s;
    if (pkt.proto !== proto || pkt.laterFragment) return NO;
    const same = any || (pkt.icmpType === type && pkt.icmpCode >= code[0] && pkt.icmpCode <= code[1]);
    return same === not ? NO : YES;
  };
}

/** multiport_mt, ports_match_v1: protocols as `-p` says (multiport_mt_check). */
export function multiport(side: "src" | "dst" | "both", ports: readonly Range[], not: boolean): Test {
  const has = (p: number): boolean => {
    for (let i = 0; i < ports.length; i++) if (p >= ports[i]![0] && p <= ports[i]![1]) return true;
    return false;
  };
  return (s) => {
    const { pkt } = s;
    if (pkt.laterFragment || !hasPorts(pkt.proto)) return NO;
    const found = (side !== "dst" && has(pkt.sport)) || (side !== "src" && has(pkt.dport));
    return found === not ? NO : YES;
  };
}

function hasPorts(proto: number): boolean {
  return proto === TCP || proto === UDP || proto === SCTP || proto === 136 || proto === 33;
}
