/** nft's `payload` expression: fields of headers (nft_payload_eval; the header layouts are nft's proto.c). */
import type { Packet } from "../../packet.ts";
import { ICMP, IPV6_ICMP, SCTP, TCP, UDP } from "../../packet.ts";
import type { EvalState } from "../program.ts";
import { LENGTH_UNKNOWN, MAYBE, NO, YES } from "../program.ts";
import { arphrd } from "./device.ts";
import { num, word } from "./json.ts";
import type { NftObject } from "./json.ts";
import { notKnown, plain, unknown } from "./scope.ts";
import type { Expr, KeyField, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { ValueType } from "./types.ts";
import type { Load, Loaded } from "./value.ts";

interface Field {
  readonly type: ValueType;
  readonly load: Load;
  readonly key: KeyField | null;
  readonly port?: "dport";
}

const field = (type: ValueType, read: (p: Packet) => Loaded, key: KeyField | null = null): Field => ({
  type,
  load: (s) => read(s.pkt),
  key,
});

const lost = (name: string, bits: number): Field => ({
  type: t.INTEGER(bits),
  load: notKnown(`${name} is not known`),
  key: null,
});

type Fields = Readonly<Record<string, Field>>;

/** frag-off holds the flags too: 0x4000 is DF. A later fragment's offset is not known. */
const fragOff: Load = (s) => {
  if (!s.pkt.laterFragment) return s.pkt.df ? 0x4000 : 0;
  s.why = "the fragment's offset is not known";
  return undefined;
};

const headerLength = (p: Packet): number => (p.v === 4 ? 20 : 40);

/** Bytes from the IP header on; not known of what a program says of its own accord. */
export const wholeLength: Load = (s) => {
  if (s.pkt.exactLength) return s.pkt.length | 0;
  s.why = LENGTH_UNKNOWN;
  return undefined;
};

const payloadLength: Load = (s) => {
  const whole = wholeLength(s) as number | undefined;
  return whole === undefined ? undefined : (whole - headerLength(s.pkt)) | 0;
};

const IP: Fields = {
  saddr: field(t.IPV4, (p) => p.src.key, "src"),
  daddr: field(t.IPV4, (p) => p.dst.key, "dst"),
  protocol: field(t.PROTO, (p) => p.proto, "proto"),
  ttl: field(t.INTEGER(8), (p) => p.ttl),
  length: { type: t.INTEGER(16), load: wholeLength, key: null },
  version: field(t.INTEGER(4), () => 4),
  // No packet here has IP options.
  hdrlength: field(t.INTEGER(4), () => 5),
  dscp: field(t.DSCP, (p) => p.tos >>> 2),
  ecn: field(t.ECN, (p) => p.tos & 3),
  "frag-off": { type: t.INTEGER(16), load: fragOff, key: null },
};

const IP6: Fields = {
  saddr: field(t.IPV6, (p) => p.src.key, "src"),
  daddr: field(t.IPV6, (p) => p.dst.key, "dst"),
  // IPPROTO_FRAGMENT: the only extension header that packets here have.
  nexthdr: field(t.PROTO, (p) => (p.laterFragment ? 44 : p.proto)),
  hoplimit: field(t.INTEGER(8), (p) => p.ttl),
  length: { type: t.INTEGER(16), load: payloadLength, key: null },
  version: field(t.INTEGER(4), () => 6),
  dscp: field(t.DSCP, (p) => p.tos >>> 2),
  ecn: field(t.ECN, (p) => p.tos & 3),
};

/** A field of the transport header: NFT_BREAK for later fragments, which have none. */
const l4 = (type: ValueType, read: (p: Packet) => Loaded, key: KeyField | null = null): Field =>
  field(type, (p) => (p.laterFragment ? null : read(p)), key);

/** A port that a kernel drew at random stands in the packet by a number that means nothing. */
function sourcePort(s: EvalState): Loaded {
  if (s.pkt.laterFragment) return null;
  if (!s.pkt.randomSport) return s.pkt.sport;
  s.why = "the source port was drawn at random";
  return undefined;
}

const PORTS: Fields = {
  sport: { type: t.SERVICE, load: sourcePort, key: null },
  dport: l4(t.SERVICE, (p) => p.dport, "dport"),
};

const TCP_FIELDS: Fields = { ...PORTS, flags: l4(t.TCP_FLAG, (p) => p.tcpFlags) };
const UDP_FIELDS: Fields = {
  ...PORTS,
  length: { type: t.INTEGER(16), load: (s) => (s.pkt.laterFragment ? null : payloadLength(s)), key: null },
};

const ICMP_FIELDS: Fields = {
  type: l4(t.ICMP_TYPE, (p) => p.icmpType),
  code: l4(t.ICMP_CODE, (p) => p.icmpCode),
  id: l4(t.INTEGER(16), (p) => p.icmpId),
};

const ICMPV6_FIELDS: Fields = {
  type: l4(t.ICMPV6_TYPE, (p) => p.icmpType),
  code: l4(t.ICMPV6_CODE, (p) => p.icmpCode),
  id: l4(t.INTEGER(16), (p) => p.icmpId),
};

/** Types of message that have a field, which nft requires before it reads the field (icmp_dep of proto.c). */
const ICMP_TYPES: Readonly<Record<string, readonly number[]>> = {
  id: [0, 8],
  sequence: [0, 8],
  gateway: [5],
  mtu: [3],
};
const ICMPV6_TYPES: Readonly<Record<string, readonly number[]>> = {
  id: [128, 129],
  sequence: [128, 129],
  mtu: [2],
  "packet-too-big": [2],
  "parameter-problem": [4],
  "max-delay": [130],
};

/** Transport protocols by the name that nft gives their header. */
const L4: Readonly<Record<string, { proto: number; fields: Fields }>> = {
  tcp: { proto: TCP, fields: TCP_FIELDS },
  udp: { proto: UDP, fields: UDP_FIELDS },
  sctp: { proto: SCTP, fields: PORTS },
  udplite: { proto: 136, fields: {} },
  dccp: { proto: 33, fields: {} },
  icmp: { proto: ICMP, fields: ICMP_FIELDS },
  icmpv6: { proto: IPV6_ICMP, fields: ICMPV6_FIELDS },
  igmp: { proto: 2, fields: {} },
  ah: { proto: 51, fields: {} },
  esp: { proto: 50, fields: {} },
  comp: { proto: 108, fields: {} },
  gre: { proto: 47, fields: {} },
};

/** `th`: the first two 16-bit words of whatever the transport header is. */
function transportWord(s: EvalState, which: "sport" | "dport"): Loaded {
  const p = s.pkt;
  if (p.laterFragment) return null;
  if (p.proto === TCP || p.proto === UDP || p.proto === SCTP) return which === "sport" ? sourcePort(s) : p.dport;
  if ((p.proto === ICMP || p.proto === IPV6_ICMP) && which === "sport") return (p.icmpType << 8) | p.icmpCode;
  s.why = `what stands in place of a port in protocol ${p.proto} is not known`;
  return undefined;
}

const TH: Fields = {
  sport: { type: t.SERVICE, load: (s) => transportWord(s, "sport"), key: null },
  dport: { type: t.SERVICE, load: (s) => transportWord(s, "dport"), key: null, port: "dport" },
};

/** A link-layer address. Local output has no link header as yet (skb_mac_header_was_set), which breaks. */
const mac =
  (side: "macSrc" | "macDst"): Load =>
  (s) => {
    const text = s.pkt[side];
    if (text !== null) return t.macValue(text);
    if (s.iif === null || s.iif.mac === null) return null;
    s.why = "the frame's link-layer address is not known";
    return undefined;
  };

const etherType: Load = (s) => {
  if (s.pkt.vlan === null) return s.pkt.v === 4 ? 0x0800 : 0x86dd;
  s.why = "the frame's type behind its VLAN tag is not known";
  return undefined;
};

const ETHER: Fields = {
  saddr: { type: t.ETHER_ADDR, load: mac("macSrc"), key: null },
  daddr: { type: t.ETHER_ADDR, load: mac("macDst"), key: null },
  type: { type: t.ETHER_TYPE, load: etherType, key: null },
};

const bareMac = (text: string | null | undefined): Loaded => (text ?? "00:00:00:00:00:00").replaceAll(":", "");

const ARP: Fields = {
  operation: field(t.ARP_OP, (p) => (p.arp?.operation === "reply" ? 2 : 1)),
  "saddr ip": field(t.IPV4, (p) => p.arp?.senderIp.key ?? 0),
  "daddr ip": field(t.IPV4, (p) => p.arp?.targetIp.key ?? 0),
  "saddr ether": field(t.ETHER_ADDR, (p) => bareMac(p.arp?.senderMac)),
  "daddr ether": field(t.ETHER_ADDR, (p) => bareMac(p.arp?.targetMac)),
  // Ethernet carrying IPv4 is all that there is here.
  htype: field(t.INTEGER(16), () => 1),
  ptype: field(t.ETHER_TYPE, () => 0x0800),
  hlen: field(t.INTEGER(8), () => 6),
  plen: field(t.INTEGER(8), () => 4),
};

/** nft tests `meta iiftype ether` before it reads an Ethernet header in a layer 3 family. */
function needEthernet(scope: RuleScope): void {
  const family = scope.table.family;
  if (family === "bridge" || family === "netdev") return;
  scope.need("ethernet", (s) => {
    if (s.iif === null) return NO;
    const type = arphrd(s.iif);
    if (type !== undefined) return type === 1 ? YES : NO;
    s.why = `the hardware type of ${s.iif.name} is not known`;
    return MAYBE;
  });
}

const of = (name: string, fields: Fields, wanted: string): Expr => {
  const f = Object.hasOwn(fields, wanted) ? fields[wanted]! : lost(`${name} ${wanted}`, 32);
  const expr = plain(f.type, f.load, f.key);
  return f.port === undefined ? expr : { ...expr, port: f.port };
};

/** `{"payload": {"protocol": …, "field": …}}` or `{"payload": {"base": …, "offset": …, "len": …}}`, both in bits. */
export function payloadExpr(scope: RuleScope, body: NftObject): Expr {
  if (body["base"] !== undefined) return rawExpr(word(body, "base"), num(body, "offset", -1), num(body, "len", -1));
  const protocol = word(body, "protocol");
  const wanted = word(body, "field");
  switch (protocol) {
    case "ip":
      scope.needIp(4);
      return of("ip", IP, wanted);
    case "ip6":
      scope.needIp(6);
      return of("ip6", IP6, wanted);
    case "th":
      return of("th", TH, wanted);
    case "ether":
      needEthernet(scope);
      return of("ether", ETHER, wanted);
    case "vlan":
      return vlanExpr(scope, wanted);
    case "arp":
      scope.need("arp", (s) => (s.pkt.arp === null ? NO : YES));
      return of("arp", ARP, wanted);
  }
  const proto = Object.hasOwn(L4, protocol) ? L4[protocol]! : undefined;
  if (proto === undefined) return unknown(`payload ${protocol} ${wanted} is not modelled`, t.INTEGER(32));
  if (protocol === "icmp" || protocol === "icmpv6") needIcmp(scope, protocol, wanted);
  else scope.needProto(proto.proto);
  return of(protocol, proto.fields, wanted);
}

function needIcmp(scope: RuleScope, protocol: "icmp" | "icmpv6", wanted: string): void {
  scope.needIp(protocol === "icmp" ? 4 : 6);
  scope.needProto(protocol === "icmp" ? ICMP : IPV6_ICMP);
  const table = protocol === "icmp" ? ICMP_TYPES : ICMPV6_TYPES;
  const types = Object.hasOwn(table, wanted) ? table[wanted]! : undefined;
  if (types === undefined) return;
  scope.need(`${protocol} ${types.join()}`, (s) => (!s.pkt.laterFragment && types.includes(s.pkt.icmpType) ? YES : NO));
}

function vlanExpr(scope: RuleScope, wanted: string): Expr {
  needEthernet(scope);
  const family = scope.table.family;
  if (family !== "bridge" && family !== "netdev")
    return unknown(`vlan ${wanted} of a routed packet is not known`, t.INTEGER(16));
  scope.need("vlan", (s) => (s.pkt.vlan === null ? NO : YES));
  if (wanted === "id") return plain(t.INTEGER(12), (s) => s.pkt.vlan);
  return unknown(`vlan ${wanted} is not known`, t.INTEGER(16));
}

/** Byte positions that are a field by another name. `@nh` has no dependency: what stands there depends on the version. */
function rawExpr(base: string, offset: number, len: number): Expr {
  const at = `${offset}/${len}`;
  if (base === "nh") return rawNetwork(at, len);
  if (base === "th" && at === "0/16") return plain(t.SERVICE, TH["sport"]!.load);
  if (base === "th" && at === "16/16") return plain(t.SERVICE, TH["dport"]!.load);
  return unknown(`the packet's bits @${base},${offset},${len} are not known`, t.INTEGER(len));
}

const RAW4: Readonly<Record<string, Load>> = {
  "0/4": () => 4,
  "8/8": (s) => s.pkt.tos,
  "16/16": wholeLength,
  "64/8": (s) => s.pkt.ttl,
  "72/8": (s) => s.pkt.proto,
  "96/32": (s) => s.pkt.src.a,
  "128/32": (s) => s.pkt.dst.a,
};
const RAW6: Readonly<Record<string, Load>> = {
  "0/4": () => 6,
  "48/8": (s) => (s.pkt.laterFragment ? 44 : s.pkt.proto),
  "56/8": (s) => s.pkt.ttl,
  "64/32": (s) => s.pkt.src.a,
  "96/32": (s) => s.pkt.src.b,
  "128/32": (s) => s.pkt.src.c,
  "160/32": (s) => s.pkt.src.d,
  "192/32": (s) => s.pkt.dst.a,
  "224/32": (s) => s.pkt.dst.b,
  "256/32": (s) => s.pkt.dst.c,
  "288/32": (s) => s.pkt.dst.d,
};

function rawNetwork(at: string, len: number): Expr {
  const none = notKnown(`the packet's bits @nh,${at.replace("/", ",")} are not known`);
  const v4 = Object.hasOwn(RAW4, at) ? RAW4[at]! : none;
  const v6 = Object.hasOwn(RAW6, at) ? RAW6[at]! : none;
  return plain(t.INTEGER(len), (s) => (s.pkt.v === 4 ? v4(s) : v6(s)));
}

/** The field that a raw payload expression writes, as protocol and name; null when it is none that is modelled. */
export function rawField(body: NftObject, v: 4 | 6): { protocol: string; field: string } | null {
  const at = `${word(body, "base")} ${num(body, "offset", -1)}/${num(body, "len", -1)}`;
  const known: Readonly<Record<string, { protocol: string; field: string }>> =
    v === 4 ? { "nh 96/32": { protocol: "ip", field: "saddr" }, "nh 128/32": { protocol: "ip", field: "daddr" } } : {};
  const ports: Readonly<Record<string, { protocol: string; field: string }>> = {
    "th 0/16": { protocol: "th", field: "sport" },
    "th 16/16": { protocol: "th", field: "dport" },
  };
  return known[at] ?? ports[at] ?? null;
}
