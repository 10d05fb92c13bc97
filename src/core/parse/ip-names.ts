/** Names that iproute2 prints in the place of numbers: routing tables, protocols, DS fields. */

const TABLES: ReadonlyMap<string, number> = new Map(Object.entries({ unspec: 0, default: 253, main: 254, local: 255 }));

/**
 * The number of a routing table that iproute2 printed by number or name. Names of /etc/iproute2/rt_tables are not
 * recorded: such a name gets a number of its own beyond 2^32, the same wherever it is printed, so that the rules and the
 * routes of one namespace meet.
 */
export function tableNumber(name: string): number {
  const known = TABLES.get(name);
  if (known !== undefined) return known;
  const n = wholeNumber(name);
  if (n !== null) return n;
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return 2 ** 32 + (hash >>> 0);
}

/** Reads `17` or `0x11`; null when it is neither, or beyond 2^53. */
export function wholeNumber(text: string): number | null {
  if (!/^(?:\d+|0[xX][0-9a-fA-F]+)$/.test(text)) return null;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : null;
}

/** /etc/iproute2/rt_dsfield, in today's form and in that of iproute2 before 4.0. */
const DSFIELDS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    default: 0x00,
    CS1: 0x20,
    AF11: 0x28,
    AF12: 0x30,
    AF13: 0x38,
    CS2: 0x40,
    AF21: 0x48,
    AF22: 0x50,
    AF23: 0x58,
    CS3: 0x60,
    AF31: 0x68,
    AF32: 0x70,
    AF33: 0x78,
    CS4: 0x80,
    AF41: 0x88,
    AF42: 0x90,
    AF43: 0x98,
    CS5: 0xa0,
    EF: 0xb8,
    CS6: 0xc0,
    CS7: 0xe0,
    mincost: 0x02,
    reliability: 0x04,
    throughput: 0x08,
    lowdelay: 0x10,
    priority: 0x20,
    immediate: 0x40,
    flash: 0x60,
    "flash-override": 0x80,
    critical: 0xa0,
    internet: 0xc0,
    network: 0xe0,
  }),
);

/** The TOS octet that iproute2 printed as `0x10` or by its name in rt_dsfield; null when it is neither. */
export function dsField(name: string): number | null {
  const n = wholeNumber(name);
  if (n !== null) return n <= 255 ? n : null;
  return DSFIELDS.get(name) ?? null;
}

/** /etc/protocols, with the spellings of older editions; IANA's assigned Internet protocol numbers. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ip: 0,
    hopopt: 0,
    icmp: 1,
    igmp: 2,
    ggp: 3,
    ipencap: 4,
    ipv4: 4,
    st: 5,
    tcp: 6,
    egp: 8,
    igp: 9,
    pup: 12,
    udp: 17,
    hmp: 20,
    "xns-idp": 22,
    rdp: 27,
    "iso-tp4": 29,
    dccp: 33,
    xtp: 36,
    ddp: 37,
    "idpr-cmtp": 38,
    ipv6: 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    idrp: 45,
    rsvp: 46,
    gre: 47,
    esp: 50,
    "ipv6-crypt": 50,
    ah: 51,
    "ipv6-auth": 51,
    skip: 57,
    "ipv6-icmp": 58,
    icmpv6: 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    rspf: 73,
    vmtp: 81,
    eigrp: 88,
    ospf: 89,
    ospfigp: 89,
    "ax.25": 93,
    ipip: 94,
    etherip: 97,
    encap: 98,
    pim: 103,
    ipcomp: 108,
    vrrp: 112,
    l2tp: 115,
    isis: 124,
    sctp: 132,
    fc: 133,
    "mobility-header": 135,
    udplite: 136,
    "mpls-in-ip": 137,
    manet: 138,
    hip: 139,
    shim6: 140,
    wesp: 141,
    rohc: 142,
    ethernet: 143,
    mptcp: 262,
  }),
);

/** The protocol that a tool printed by number or by its name in /etc/protocols; null when it is neither. */
export function protocolNumber(name: string): number | null {
  return wholeNumber(name) ?? PROTOCOLS.get(name.toLowerCase()) ?? null;
}
