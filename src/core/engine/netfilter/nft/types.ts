/** nft's data types: how their literals read, how wide they are, and in which byte order registers hold them. */
import { parseIp, parsePrefix, prefixOf } from "../../../model/address.ts";
import type { Ip, Prefix } from "../../../model/address.ts";
import type { NftJson } from "../../../model/nftables.ts";
import { objectOf, tagged } from "./json.ts";
import * as sym from "./symbols.ts";
import type { Symbols } from "./symbols.ts";
import { bitwise, compareValues, ipValue, isBitOp, prefixInterval, valueIp } from "./value.ts";
import type { Interval, Value } from "./value.ts";

export interface ValueType {
  readonly name: string;
  readonly bits: number;
  /** How literals read: `number` and `flags` with symbols, addresses, MAC, names. `flags` is nft's bitmask base type. */
  readonly form: "number" | "flags" | "ip4" | "ip6" | "mac" | "name" | "ifname" | "iface";
  readonly symbols: Symbols | null;
  /** The register holds it as the host does (marks, states, indexes), not as the wire does. */
  readonly hostOrder: boolean;
}

const number = (name: string, bits: number, symbols: Symbols | null = null, hostOrder = false): ValueType => ({
  name,
  bits,
  form: "number",
  symbols,
  hostOrder,
});
const flags = (name: string, bits: number, symbols: Symbols, hostOrder: boolean): ValueType => ({
  name,
  bits,
  form: "flags",
  symbols,
  hostOrder,
});
const other = (name: string, bits: number, form: ValueType["form"]): ValueType => ({
  name,
  bits,
  form,
  symbols: null,
  hostOrder: false,
});

export const INTEGER = (bits: number): ValueType => number("integer", bits);
export const HOST_INTEGER = number("integer", 32, null, true);
export const BOOLEAN = number("boolean", 8);
export const IPV4 = other("ipv4_addr", 32, "ip4");
export const IPV6 = other("ipv6_addr", 128, "ip6");
export const ETHER_ADDR = other("ether_addr", 48, "mac");
export const IFNAME = other("ifname", 128, "ifname");
/** An interface index; as a value the device's name, which is what nft prints, or `#N` where there is none. */
export const IFACE = other("iface_index", 32, "iface");
export const NAME = other("string", 128, "name");
export const PROTO = number("inet_proto", 8, sym.INET_PROTO);
export const SERVICE = number("inet_service", 16);
export const MARK = number("mark", 32, null, true);
export const CT_STATE = flags("ct_state", 32, sym.CT_STATE, true);
export const CT_STATUS = flags("ct_status", 32, sym.CT_STATUS, true);
export const CT_DIR = number("ct_dir", 8, sym.CT_DIR);
export const ICMP_TYPE = number("icmp_type", 8, sym.ICMP_TYPE);
export const ICMP_CODE = number("icmp_code", 8, sym.ICMP_CODE);
export const ICMPV6_TYPE = number("icmpv6_type", 8, sym.ICMPV6_TYPE);
export const ICMPV6_CODE = number("icmpv6_code", 8, sym.ICMPV6_CODE);
export const PKT_TYPE = number("pkt_type", 8, sym.PKT_TYPE);
export const FIB_TYPE = number("fib_addrtype", 32, sym.FIB_TYPE, true);
export const DSCP = number("dscp", 6, sym.DSCP);
export const ECN = number("ecn", 2, sym.ECN);
export const ETHER_TYPE = number("ether_type", 16, sym.ETHER_TYPE);
export const ARP_OP = number("arp_op", 16, sym.ARP_OP);
export const NF_PROTO = number("nf_proto", 8, sym.NF_PROTO);
export const TCP_FLAG = flags("tcp_flag", 8, sym.TCP_FLAG, false);
export const IFACE_TYPE = number("iface_type", 16, sym.IFACE_TYPE, true);
export const DEVGROUP = number("devgroup", 32, sym.DEVGROUP, true);
export const REALM = number("realm", 32, sym.REALM, true);

/** Types by the names that sets and maps declare, for maps' values. Null for what has no plain type here. */
export function typeByName(name: string): ValueType | null {
  return BY_NAME.get(name) ?? null;
}

const BY_NAME = new Map(
  [
    IPV4,
    IPV6,
    ETHER_ADDR,
    IFNAME,
    IFACE,
    PROTO,
    SERVICE,
    MARK,
    CT_STATE,
    CT_STATUS,
    CT_DIR,
    ICMP_TYPE,
    ICMP_CODE,
    ICMPV6_TYPE,
    ICMPV6_CODE,
    PKT_TYPE,
    FIB_TYPE,
    DSCP,
    ECN,
    ETHER_TYPE,
    ARP_OP,
    NF_PROTO,
    TCP_FLAG,
    IFACE_TYPE,
    DEVGROUP,
    REALM,
    HOST_INTEGER,
  ].map((type) => [type.name, type]),
);

/** Reads a literal as a value of its type. Undefined when it is none that is known here. */
export function literal(type: ValueType, json: NftJson): Value | undefined {
  if (typeof json === "boolean") return json ? 1 : 0;
  if (typeof json === "number") return type.form === "iface" ? `#${json}` : numeric(type, json);
  if (typeof json === "string") return textLiteral(type, json);
  if (Array.isArray(json)) return folded(type, "|", json);
  const op = tagged(json);
  return op !== null && isBitOp(op.tag) && Array.isArray(op.body) ? folded(type, op.tag, op.body) : undefined;
}

function folded(type: ValueType, op: "&" | "|" | "^" | "<<" | ">>", parts: NftJson[]): Value | undefined {
  let out: Value | undefined;
  for (const [i, part] of parts.entries()) {
    const next = literal(type, part);
    if (next === undefined) return undefined;
    out = i === 0 ? next : bitwise(op, out!, next);
    if (out === undefined) return undefined;
  }
  return out;
}

/** Numbers beyond 32 bits have no value here: nothing that is modelled is as wide. */
function numeric(type: ValueType, n: number): Value | undefined {
  if (type.form !== "number" && type.form !== "flags") return undefined;
  return Number.isInteger(n) && n >= 0 && n <= 0xffffffff ? n | 0 : undefined;
}

function textLiteral(type: ValueType, text: string): Value | undefined {
  switch (type.form) {
    case "ip4":
    case "ip6": {
      const ip = parseIp(text);
      return ip !== null && ip.v === (type.form === "ip4" ? 4 : 6) ? ipValue(ip) : undefined;
    }
    case "mac":
      return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? macValue(text) : undefined;
    case "name":
      return text;
    case "ifname":
      return text.replaceAll("\\*", "*");
    case "iface":
      return /^\d+$/.test(text) ? `#${text}` : text;
    case "number":
    case "flags": {
      const known = type.symbols !== null && Object.hasOwn(type.symbols, text) ? type.symbols[text] : undefined;
      if (known !== undefined) return known;
      return /^(\d+|0x[0-9a-f]+)$/i.test(text) ? numeric(type, Number(text)) : undefined;
    }
  }
}

/** A MAC address as 12 hex digits. */
export const macValue = (text: string): string => text.replaceAll(":", "").toLowerCase();

/** Reads a set's element or a match's right side as an interval: a literal, a range, a prefix, or a name with a `*`. */
export function interval(type: ValueType, json: NftJson): Interval | undefined {
  const t = tagged(json);
  if (t !== null && t.tag === "range" && Array.isArray(t.body) && t.body.length === 2) {
    const lo = literal(type, t.body[0]!);
    const hi = literal(type, t.body[1]!);
    if (lo === undefined || hi === undefined || compareValues(lo, hi) > 0) return undefined;
    return { lo, hi };
  }
  if (t !== null && t.tag === "prefix") return prefixSpan(type, json);
  if (type.form === "ifname" && typeof json === "string" && /(^|[^\\])\*$/.test(json)) {
    const stem = json.slice(0, -1).replaceAll("\\*", "*");
    return { lo: stem, hi: `${stem}\u{ffff}` };
  }
  const value = literal(type, json);
  return value === undefined ? undefined : { lo: value, hi: value };
}

function prefixSpan(type: ValueType, json: NftJson): Interval | undefined {
  const body = objectOf(objectOf(json)?.["prefix"]);
  const addr = body?.["addr"];
  const len = body?.["len"];
  if (addr === undefined || typeof len !== "number" || !Number.isInteger(len) || len < 0 || len > type.bits)
    return undefined;
  if (type.form === "ip4" || type.form === "ip6") {
    const prefix = typeof addr === "string" ? parsePrefix(`${addr}/${len}`) : null;
    if (prefix === null || (prefix.ip.v === 4) !== (type.form === "ip4")) return undefined;
    return prefixInterval(prefix);
  }
  const value = literal(type, addr);
  if (typeof value !== "number" || type.bits > 32) return undefined;
  const host = len === 0 ? -1 : (1 << (type.bits - len)) - 1;
  const all = type.bits === 32 ? -1 : (1 << type.bits) - 1;
  return { lo: value & ~host & all, hi: (value | host) & all };
}

/** The prefix of addresses that an interval is; null when it is none. */
export function intervalPrefix(type: ValueType, i: Interval): Prefix | null {
  if (type.form !== "ip4" && type.form !== "ip6") return null;
  const first = valueIp(i.lo);
  const last = valueIp(i.hi);
  if (first === null || last === null) return null;
  const p = prefixOf(first, commonBits(first, last));
  const span = prefixInterval(p);
  return span.lo === i.lo && span.hi === i.hi ? p : null;
}

/** How many leading bits two addresses of one family share. */
function commonBits(x: Ip, y: Ip): number {
  if (x.v === 4) return Math.clz32(x.a ^ y.a);
  const words = [x.a ^ y.a, x.b ^ y.b, x.c ^ y.c, x.d ^ y.d];
  const at = words.findIndex((w) => w !== 0);
  return at < 0 ? 128 : 32 * at + Math.clz32(words[at]!);
}
