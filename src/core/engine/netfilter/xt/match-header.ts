/** Matches on the IP header, the frame and the devices: ip_packet_match, ip6_packet_match and small modules. */
import { compareIp, maskWord } from "../../../model/address.ts";
import type { Ip, Prefix } from "../../../model/address.ts";
import type { MaskedIp, Range } from "../../../model/xtables.ts";
import type { RuleDevice } from "../context.ts";
import { LENGTH_UNKNOWN, MAYBE, NO, YES } from "../program.ts";
import type { EvalState, Test } from "../program.ts";

type End = "src" | "dst";

/** `-s`, `-d` (ip_packet_match: NF_INVF(saddr & mask != src)). Null for a prefix that holds everything. */
export function address(end: End, prefix: Prefix, not: boolean): Test | null {
  if (prefix.len === 0) return not ? () => NO : null;
  const hit = not ? NO : YES;
  const other = not ? YES : NO;
  const { a, b, c, d } = prefix.ip;
  const m0 = maskWord(prefix.len, 0);
  if (prefix.ip.v === 4) {
    return end === "src"
      ? (s) => (((s.pkt.src.a ^ a) & m0) === 0 ? hit : other)
      : (s) => (((s.pkt.dst.a ^ a) & m0) === 0 ? hit : other);
  }
  const m1 = maskWord(prefix.len, 1);
  const m2 = maskWord(prefix.len, 2);
  const m3 = maskWord(prefix.len, 3);
  const holds = (ip: Ip): boolean =>
    ((ip.a ^ a) & m0) === 0 && ((ip.b ^ b) & m1) === 0 && ((ip.c ^ c) & m2) === 0 && ((ip.d ^ d) & m3) === 0;
  return end === "src" ? (s) => (holds(s.pkt.src) ? hit : other) : (s) => (holds(s.pkt.dst) ? hit : other);
}

/** `-s`, `-d` with a mask that has holes. */
export function maskedAddress(end: End, addr: MaskedIp, not: boolean): Test {
  const { ip, mask } = addr;
  return (s) => {
    const x = end === "src" ? s.pkt.src : s.pkt.dst;
    const same =
      ((x.a ^ ip.a) & mask.a) === 0 &&
      ((x.b ^ ip.b) & mask.b) === 0 &&
      ((x.c ^ ip.c) & mask.c) === 0 &&
      ((x.d ^ ip.d) & mask.d) === 0;
    return same === not ? NO : YES;
  };
}

/** ifname_compare: a name that ends in `+` stands for every name with that beginning, `+` alone for any, also none. */
export function nameMatches(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** `-i`, `-o`: where there is no device its name is empty (nulldevname of ipt_do_table; nft_meta_store_ifname). Null when any will do. */
export function device(end: "in" | "out", pattern: string, not: boolean): Test | null {
  if (pattern === "+" || pattern === "") return not ? () => NO : null;
  const wild = pattern.endsWith("+");
  const name = wild ? pattern.slice(0, -1) : pattern;
  const of: (s: EvalState) => RuleDevice | null = end === "in" ? (s) => s.iif : (s) => s.oif;
  const hit = not ? NO : YES;
  const other = not ? YES : NO;
  if (wild) {
    return (s) => {
      const dev = of(s);
      return dev !== null && dev.name.startsWith(name) ? hit : other;
    };
  }
  return (s) => {
    const dev = of(s);
    return dev !== null && dev.name === name ? hit : other;
  };
}

/** `-p`: 0 is every protocol, even when inverted (ip_packet_match tests `ipinfo->proto &&` first). */
export function protocol(proto: number, not: boolean): Test | null {
  if (proto === 0) return null;
  return not ? (s) => (s.pkt.proto === proto ? NO : YES) : (s) => (s.pkt.proto === proto ? YES : NO);
}

/** `-f`: fragments other than the first. */
export function fragment(not: boolean): Test {
  return (s) => (s.pkt.laterFragment === not ? NO : YES);
}

/** ttl_mt, hl_mt6 (xt_hl.c). */
export function ttl(op: "eq" | "ne" | "lt" | "gt", value: number): Test {
  switch (op) {
    case "eq":
      return (s) => (s.pkt.ttl === value ? YES : NO);
    case "ne":
      return (s) => (s.pkt.ttl !== value ? YES : NO);
    case "lt":
      return (s) => (s.pkt.ttl < value ? YES : NO);
    case "gt":
      return (s) => (s.pkt.ttl > value ? YES : NO);
  }
}

/** length_mt, length_mt6: bytes from the IP header on. */
export function length(bytes: Range, not: boolean): Test {
  return (s) => {
    if (!s.pkt.exactLength) {
      s.why = LENGTH_UNKNOWN;
      return MAYBE;
    }
    return (s.pkt.length >= bytes[0] && s.pkt.length <= bytes[1]) === not ? NO : YES;
  };
}

/** dscp_mt. */
export function dscp(value: number, not: boolean): Test {
  return (s) => ((s.pkt.tos >> 2 === value) === not ? NO : YES);
}

/** tos_mt. */
export function tos(value: number, mask: number, not: boolean): Test {
  return (s) => (((s.pkt.tos & mask) === value) === not ? NO : YES);
}

/** iprange_mt4, iprange_mt6. */
export function range(end: End, spec: { not: boolean; from: Ip; to: Ip }): Test {
  const { from, to, not } = spec;
  return (s) => {
    const ip = end === "src" ? s.pkt.src : s.pkt.dst;
    return (compareIp(ip, from) >= 0 && compareIp(ip, to) <= 0) === not ? NO : YES;
  };
}

/** mark_mt. */
export function mark(value: number, mask: number, not: boolean): Test {
  const want = value >>> 0;
  const hit = not ? NO : YES;
  const other = not ? YES : NO;
  return (s) => ((s.pkt.mark & mask) >>> 0 === want ? hit : other);
}

/** mac_mt: without an Ethernet device and header the rule does not match, inverted or not. */
export function mac(wanted: string, not: boolean): Test {
  const want = wanted.toLowerCase();
  return (s) => {
    const have = s.pkt.macSrc;
    // Of the hooks that may ask, each has the device that the packet came in by as skb->dev.
    if (have === null || s.iif === null || s.iif.kindName === "loopback") return NO;
    return (have.toLowerCase() === want) === not ? NO : YES;
  };
}

/** pkttype_mt: `unicast` is PACKET_HOST. */
export function packetType(type: "unicast" | "broadcast" | "multicast" | "host" | "otherhost", not: boolean): Test {
  const want = type === "unicast" ? "host" : type;
  return (s) => ((s.pkt.type === want) === not ? NO : YES);
}

/** devgroup_mt. A missing device has group 0. */
export function deviceGroup(end: End, spec: { not: boolean; value: number; mask: number }): Test {
  return (s) => {
    const group = (end === "src" ? s.iif : s.oif)?.group ?? 0;
    return (((group ^ spec.value) & spec.mask) === 0) === spec.not ? NO : YES;
  };
}
