/** Matches that need the namespace: address types, reverse path, sockets and their owners, bridge ports. */
import type { Ip } from "../../../model/address.ts";
import type { XtMatch } from "../../../model/xtables.ts";
import type { AddrType } from "../context.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { EvalState, Test } from "../program.ts";
import { nameMatches } from "./match-header.ts";

type AddrtypeMatch = Extract<XtMatch, { m: "addrtype" }>;
type PhysdevMatch = Extract<XtMatch, { m: "physdev" }>;
type OwnerMatch = Extract<XtMatch, { m: "owner" }>;

const invert = (answer: number, not: boolean): number =>
  !not || answer === MAYBE ? answer : answer === YES ? NO : YES;

function typesOf(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((n) => n.toLowerCase()));
}

/** addrtype_mt_v1 (xt_addrtype.c): source first, then destination. */
export function addrtype(m: AddrtypeMatch): Test {
  const src = m.src === null ? null : typesOf(m.src);
  const dst = m.dst === null ? null : typesOf(m.dst);
  const { srcNot, dstNot, limitIface } = m;
  return (s) => {
    const from = src === null ? YES : invert(hasType(s, s.pkt.src, src, limitIface), srcNot);
    if (from === NO) return NO;
    const to = dst === null ? YES : invert(hasType(s, s.pkt.dst, dst, limitIface), dstNot);
    if (to === NO) return NO;
    return from === MAYBE || to === MAYBE ? MAYBE : YES;
  };
}

function hasType(s: EvalState, ip: Ip, types: ReadonlySet<string>, limit: "in" | "out" | null): number {
  if (ip.v === 6) {
    // match_type6: these three are properties of the address alone, and all that are named must hold.
    if (types.has("multicast") && ip.a >>> 24 !== 0xff) return NO;
    if (types.has("unicast") && !isUnicast6(ip)) return NO;
    if (types.has("unspec") && (ip.a | ip.b | ip.c | ip.d) !== 0) return NO;
    if (!types.has("local") && !types.has("anycast") && !types.has("prohibit") && !types.has("unreachable")) return YES;
  }
  const dev = limit === "in" ? s.iif : limit === "out" ? s.oif : null;
  const type: AddrType | "unknown" = s.services.addrType(s, ip, dev);
  if (type !== "unknown") return types.has(type) ? YES : NO;
  s.why = "routes or addresses that give the address its type were not recorded";
  return MAYBE;
}

/** IPV6_ADDR_UNICAST of __ipv6_addr_type (addrconf_core.c): not multicast, not unspecified, not IPv4-mapped. */
function isUnicast6(ip: Ip): boolean {
  if (ip.a >>> 24 === 0xff) return false;
  if (ip.a !== 0 || ip.b !== 0) return true;
  return ip.c === 0 ? ip.d !== 0 : ip.c !== 0xffff;
}

/** rpfilter_mt (ipt_rpfilter.c, ip6t_rpfilter.c). */
export function rpfilter(m: Extract<XtMatch, { m: "rpfilter" }>): Test {
  const opts = { loose: m.loose, validmark: m.validmark, acceptLocal: m.acceptLocal };
  const not = m.invert;
  return (s) => {
    const passes = s.services.rpfilter(s, opts);
    if (passes !== "unknown") return passes === not ? NO : YES;
    s.why = "the way back to the source was not recorded";
    return MAYBE;
  };
}

/** socket_mt4_v1_v2_v3, socket_mt6_v1_v2_v3. With --restore-skmark the mark that the socket has is not recorded. */
export function socket(m: Extract<XtMatch, { m: "socket" }>): Test {
  const opts = { transparent: m.transparent, nowildcard: m.nowildcard };
  const restores = m.restoreSkmark;
  return (s) => {
    const found = s.services.socket(s, opts);
    if (found === false) return NO;
    if (found === true && !restores) return YES;
    s.why = restores ? "the mark of the packet's socket is not recorded" : "the node's sockets were not recorded";
    return MAYBE;
  };
}

/**
 * owner_mt (xt_owner.c): a packet without a socket matches only what is inverted. Forwarded packets have none;
 * whose a locally made packet is, is known only where the question says so.
 */
export function owner(m: OwnerMatch): Test {
  const { what, not, range } = m;
  return (s) => {
    const { pkt } = s;
    // Forwarded packets have no socket; those of the kernel's own sockets no owner.
    const owned = (pkt.locallyMade || s.hook === "output") && (pkt.socket !== null || pkt.uid !== null);
    if (!owned) return not ? YES : NO;
    if (what === "socket-exists") return not ? NO : YES;
    if (pkt.socket === "kernel") return not ? YES : NO;
    const id = what === "uid" ? pkt.uid : pkt.gid;
    if (id === null || range === null || (what === "gid" && m.supplGroups)) {
      s.why = `the ${what === "uid" ? "user" : "group"} that sends the packet is not known`;
      return MAYBE;
    }
    return (id >= range[0] && id <= range[1]) === not ? NO : YES;
  };
}

/** physdev_mt (xt_physdev.c). Without bridge information only what is inverted holds. */
export function physdev(m: PhysdevMatch): Test {
  const plain =
    m.isBridged === true || m.isIn === true || m.isOut === true || m.in?.not === false || m.out?.not === false;
  return (s) => {
    const indev = s.physIn?.name ?? null;
    const outdev = s.physOut?.name ?? null;
    if (indev === null && outdev === null && !s.bridged) {
      return plain ? NO : YES;
    }
    if (m.isBridged !== null && (outdev !== null) !== m.isBridged) return NO;
    if (m.isIn !== null && (indev !== null) !== m.isIn) return NO;
    if (m.isOut !== null && (outdev !== null) !== m.isOut) return NO;
    if (m.in !== null && indev !== null && nameMatches(m.in.name, indev) === m.in.not) return NO;
    if (m.out === null) return YES;
    return outdev !== null && nameMatches(m.out.name, outdev) !== m.out.not ? YES : NO;
  };
}
