/** Reads what `nft monitor trace` prints (nftables src/trace.c) in one namespace. */

/** Header of a packet as a base chain saw it. */
export interface TracedHeader {
  v: 4 | 6;
  src: string;
  dst: string;
  /** tcp, udp …; null when the trace names no ports. */
  proto: string | null;
  sport: number;
  dport: number;
  /** As printed after `tcp flags ==`, in bits. */
  flags: number;
  /** IPv4 identification, IPv6 flow label: neither changes on the way. */
  id: number;
  /** IPv4 total length; IPv6 payload length. */
  length: number;
  /** Links that it came in by and leaves by, as far as the hook knows them; null otherwise. */
  iif: string | null;
  oif: string | null;
  /** IP in IP: what is inside is not printed. */
  ipip: boolean;
  /**
   * What an outgoing tunnel packet carries, as far as the trace prints its bytes: where the outer link layer will be, the inner
   * Ethernet header and the first bytes of the inner IP header still stand. `id` and `length` as in this type. Null when not printed.
   */
  carried: { v: 4 | 6; id: number; length: number } | null;
  /** Everything printed, less the trace id and the payload: equal for a packet sent twice. */
  text: string;
}

export interface TracedEvent {
  what: "rule" | "policy";
  chain: string;
  /** `jump X`, `goto X`, `return`, `accept`, `drop`, `continue` … */
  verdict: string;
  /** The packet's mark where it is printed: with policies, 0 when none is. Null with rules. */
  mark: number | null;
  text: string;
}

/** One base chain run over one packet. */
export interface Visit {
  id: string;
  family: string;
  table: string;
  chain: string;
  header: TracedHeader;
  events: TracedEvent[];
}

/** The recorder's own table, which turns tracing on before everything else. */
export const RECORDER = "kwtrace";

const FLAGS: Readonly<Record<string, number>> = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 };

function flagsOf(text: string): number {
  return text.split(/[|,]/).reduce((bits, f) => bits | (FLAGS[f.trim()] ?? Number(f)), 0);
}

const number = (text: string, re: RegExp): number => Number(re.exec(text)?.[1] ?? 0);

/** RFC 791 §3.1 and RFC 8200 §3: version and so on, total length, identification; or version, class and flow label, payload length. */
function parseCarried(text: string): TracedHeader["carried"] {
  const bytes = /@ll,0,160 0x[0-9a-f]{24}(0800|86dd)([0-9a-f]{12})\b/.exec(text);
  if (bytes === null) return null;
  const [, type, head] = bytes as unknown as [string, string, string];
  const hex = (from: number, to: number): number => Number.parseInt(head.slice(from, to), 16);
  return type === "0800" ? { v: 4, length: hex(4, 8), id: hex(8, 12) } : { v: 6, id: hex(3, 8), length: hex(8, 12) };
}

/** Reads the text after `packet: `; null when it is not IP. */
function parseHeader(text: string): TracedHeader | null {
  const net = / ip6? saddr (\S+) ip6? daddr (\S+) /.exec(` ${text} `);
  if (net === null) return null;
  const v = / ip6 saddr /.test(` ${text}`) ? 6 : 4;
  const ports = /(tcp|udp|sctp|dccp|udplite) sport (\d+) \1 dport (\d+)/.exec(text);
  return {
    v,
    src: net[1]!,
    dst: net[2]!,
    proto: ports?.[1] ?? null,
    sport: Number(ports?.[2] ?? 0),
    dport: Number(ports?.[3] ?? 0),
    flags: flagsOf(/tcp flags == (\S+)/.exec(text)?.[1] ?? "0"),
    id: v === 4 ? number(text, / ip id (\d+)/) : number(text, / ip6 flowlabel (\d+)/),
    length: number(text, / ip6? length (\d+)/),
    iif: / iif "([^"]+)"/.exec(text)?.[1] ?? null,
    oif: / oif "([^"]+)"/.exec(text)?.[1] ?? null,
    carried: parseCarried(text),
    // Base chains after the recorder's know the protocol from the hook, and do not print it.
    ipip:
      v === 4 && ports === null && (/ ip protocol (4|ipencap|ipip) /.test(text) || !/ icmp | ip protocol /.test(text)),
    text: text.replaceAll(/ @\w+,\d+,\d+ 0x\w+/g, ""),
  };
}

/** Visits in the order in which the kernel told of them. The last line may be cut off. */
export function parseNftTrace(text: string): Visit[] {
  const visits: Visit[] = [];
  const current = new Map<string, Visit | null>();
  for (const line of text.split("\n")) {
    const m = /^trace id (\w+) (\S+) (\S+) (\S+) (packet:|rule|policy)(.*)$/.exec(line);
    if (m === null) continue;
    const [, id, family, table, chain, what, rest] = m as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const key = `${id} ${family} ${table}`;
    if (what === "packet:") {
      const header = parseHeader(rest);
      const visit = header === null ? null : { id, family, table, chain, header, events: [] };
      current.set(key, visit);
      if (visit !== null) visits.push(visit);
      continue;
    }
    const visit = current.get(key);
    if (visit === undefined || visit === null) continue;
    if (what === "policy") {
      const [verdict] = rest.trim().split(/\s+/);
      const mark = Number(/meta mark (0x[0-9a-f]+)/.exec(rest)?.[1] ?? 0);
      visit.events.push({ what, chain, verdict: verdict!, mark, text: rest.trim() });
    } else {
      const verdict = /\(verdict ([^)]+)\)\s*$/.exec(rest)?.[1];
      if (verdict !== undefined) visit.events.push({ what: "rule", chain, verdict, mark: null, text: rest.trim() });
    }
  }
  return visits;
}
