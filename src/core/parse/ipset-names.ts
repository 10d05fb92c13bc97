/**
 * Names that `ipset save` prints for protocols and ICMP types: libipset's own ICMP tables (lib/icmp.c, lib/icmpv6.c) and
 * getprotobynumber(3) over the usual /etc/protocols. A number that has no name is printed as a number.
 */

/** By protocol number. */
const PROTOCOLS: Record<number, string> = {
  1: "icmp",
  2: "igmp",
  3: "ggp",
  4: "ipencap",
  5: "st",
  6: "tcp",
  8: "egp",
  9: "igp",
  12: "pup",
  17: "udp",
  20: "hmp",
  22: "xns-idp",
  27: "rdp",
  29: "iso-tp4",
  33: "dccp",
  36: "xtp",
  37: "ddp",
  38: "idpr-cmtp",
  41: "ipv6",
  43: "ipv6-route",
  44: "ipv6-frag",
  45: "idrp",
  46: "rsvp",
  47: "gre",
  50: "esp",
  51: "ah",
  57: "skip",
  58: "ipv6-icmp",
  59: "ipv6-nonxt",
  60: "ipv6-opts",
  73: "rspf",
  81: "vmtp",
  88: "eigrp",
  89: "ospf",
  93: "ax.25",
  94: "ipip",
  97: "etherip",
  98: "encap",
  103: "pim",
  108: "ipcomp",
  112: "vrrp",
  115: "l2tp",
  124: "isis",
  132: "sctp",
  133: "fc",
  135: "mobility-header",
  136: "udplite",
  137: "mpls-in-ip",
  138: "manet",
  139: "hip",
  140: "shim6",
  141: "wesp",
  142: "rohc",
  143: "ethernet",
};

/** By `type/code`. */
const ICMP: Record<string, string> = {
  "0/0": "echo-reply",
  "3/0": "network-unreachable",
  "3/1": "host-unreachable",
  "3/2": "protocol-unreachable",
  "3/3": "port-unreachable",
  "3/4": "fragmentation-needed",
  "3/5": "source-route-failed",
  "3/6": "network-unknown",
  "3/7": "host-unknown",
  "3/9": "network-prohibited",
  "3/10": "host-prohibited",
  "3/11": "TOS-network-unreachable",
  "3/12": "TOS-host-unreachable",
  "3/13": "communication-prohibited",
  "3/14": "host-precedence-violation",
  "3/15": "precedence-cutoff",
  "4/0": "source-quench",
  "5/0": "network-redirect",
  "5/1": "host-redirect",
  "5/2": "TOS-network-redirect",
  "5/3": "TOS-host-redirect",
  "8/0": "echo-request",
  "9/0": "router-advertisement",
  "10/0": "router-solicitation",
  "11/0": "ttl-zero-during-transit",
  "11/1": "ttl-zero-during-reassembly",
  "12/0": "ip-header-bad",
  "12/1": "required-option-missing",
  "13/0": "timestamp-request",
  "14/0": "timestamp-reply",
  "17/0": "address-mask-request",
  "18/0": "address-mask-reply",
};

/** By `type/code`. */
const ICMPV6: Record<string, string> = {
  "1/0": "no-route",
  "1/1": "communication-prohibited",
  "1/3": "address-unreachable",
  "1/4": "port-unreachable",
  "2/0": "packet-too-big",
  "3/0": "ttl-zero-during-transit",
  "3/1": "ttl-zero-during-reassembly",
  "4/0": "bad-header",
  "4/1": "unknown-header-type",
  "4/2": "unknown-option",
  "128/0": "echo-request",
  "129/0": "echo-reply",
  "133/0": "router-solicitation",
  "134/0": "router-advertisement",
  "135/0": "neighbour-solicitation",
  "136/0": "neighbour-advertisement",
  "137/0": "redirect",
};

const inverse = (table: Record<string, string>): ReadonlyMap<string, string> =>
  new Map(Object.entries(table).map(([key, name]) => [name, key]));

const protocolNumbers = inverse(PROTOCOLS);
const icmpTypes = inverse(ICMP);
const icmpv6Types = inverse(ICMPV6);

export const IPPROTO_ICMP = 1;
export const IPPROTO_ICMPV6 = 58;

/** The number of a protocol that is named or numbered (0…255); null when it is neither. */
export function protocolNumber(text: string): number | null {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= 255 ? Number(text) : null;
  if (text === "icmpv6") return IPPROTO_ICMPV6;
  const number = protocolNumbers.get(text);
  return number === undefined ? null : Number(number);
}

/** The name of a protocol, or its number as text. */
export function protocolName(proto: number): string {
  return PROTOCOLS[proto] ?? String(proto);
}

/** Reads `echo-request` or `8/0`: type × 256 + code, which is how the kernel stores it as a port; null when it is neither. */
export function icmpTypeCode(text: string, v6: boolean): number | null {
  const found = /^(\d{1,3})\/(\d{1,3})$/.exec((v6 ? icmpv6Types : icmpTypes).get(text) ?? text);
  if (found === null) return null;
  const type = Number(found[1]);
  const code = Number(found[2]);
  return type <= 255 && code <= 255 ? type * 256 + code : null;
}

/** The inverse of icmpTypeCode. */
export function icmpTypeCodeName(typeCode: number, v6: boolean): string {
  const key = `${typeCode >> 8}/${typeCode & 255}`;
  return (v6 ? ICMPV6 : ICMP)[key] ?? key;
}
