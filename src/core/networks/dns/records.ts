/** DNS questions and answers. */

export type RecordType = "A" | "AAAA" | "CNAME" | "SRV" | "PTR" | "TXT" | "NS" | "SOA" | "MX";

/** A resource record; names without final dot. */
export type DnsRecord = { name: string; ttl: number } & (
  | { type: "A" | "AAAA"; address: string }
  | { type: "CNAME" | "PTR"; target: string }
  | { type: "SRV"; priority: number; weight: number; port: number; target: string }
  | { type: "TXT"; text: string }
);

/**
 * What a server says. NOERROR without answers is NODATA: the name is there, this type of it is not.
 * `outside`: a name that the cluster does not serve and whose answer nobody recorded: the question went on to `forwards`, or an
 * answer's CNAME leads out. `refused`: no server block, or no plugin of it, takes the question.
 */
export type DnsReply =
  | {
      kind: "reply";
      rcode: "NOERROR" | "NXDOMAIN";
      answers: DnsRecord[];
      additional: DnsRecord[];
      outside: string | null;
    }
  | { kind: "forward"; name: string; forwards: string[] }
  | { kind: "refused"; why: string };

/** The address of a reverse name (`10.0.96.10.in-addr.arpa`, nibbles under ip6.arpa) in the form of net.IP; null when it is none. */
export function addressOfReverse(name: string): string | null {
  const lower = name.toLowerCase();
  if (lower.endsWith(".in-addr.arpa")) {
    const parts = lower.slice(0, -".in-addr.arpa".length).split(".");
    return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part)) ? parts.toReversed().join(".") : null;
  }
  if (!lower.endsWith(".ip6.arpa")) return null;
  const nibbles = lower.slice(0, -".ip6.arpa".length).split(".");
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return null;
  return nibbles
    .toReversed()
    .join("")
    .replaceAll(/(.{4})(?!$)/g, "$1:");
}

/** The name under which PTR records of an address stand. */
export function reverseName(address: { v: 4 | 6; a: number; b: number; c: number; d: number }): string {
  const hex = [address.a, address.b, address.c, address.d].map((word) => (word >>> 0).toString(16).padStart(8, "0"));
  if (address.v === 6) return `${[...hex.join("")].toReversed().join(".")}.ip6.arpa`;
  const word = address.a;
  return `${word & 255}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}.in-addr.arpa`;
}
