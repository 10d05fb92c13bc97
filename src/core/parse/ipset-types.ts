/** The types that a set can have. */

/** Set types of the kernel (net/netfilter/ipset) and what their elements are made of, in order. */
const TYPES = {
  "hash:ip": ["ip"],
  "hash:net": ["net"],
  "hash:mac": ["mac"],
  "hash:ip,port": ["ip", "port"],
  "hash:net,port": ["net", "port"],
  "hash:ip,port,ip": ["ip", "port", "ip2"],
  "hash:ip,port,net": ["ip", "port", "net2"],
  "hash:net,net": ["net", "net2"],
  "hash:net,port,net": ["net", "port", "net2"],
  "hash:net,iface": ["net", "iface"],
  "hash:ip,mac": ["ip", "mac"],
  "hash:ip,mark": ["ip", "mark"],
  "bitmap:ip": ["ip"],
  "bitmap:ip,mac": ["ip", "mac"],
  "bitmap:port": ["plainport"],
  "list:set": ["set"],
} as const satisfies Record<string, readonly Dimension[]>;

/** One part of an element; `ip2` and `net2` are the second address. */
export type Dimension = "ip" | "ip2" | "net" | "net2" | "port" | "plainport" | "iface" | "mac" | "mark" | "set";

/** The parts of an element of a set type, in order; undefined for a type that ipset does not have. */
export function dimensionsOf(type: string): readonly Dimension[] | undefined {
  return Object.hasOwn(TYPES, type) ? TYPES[type as keyof typeof TYPES] : undefined;
}
