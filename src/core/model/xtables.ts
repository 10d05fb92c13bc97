/** iptables and ip6tables rules, one kind per match and target, as iptables-save prints them. */
import type { Ip, Prefix } from "./address.ts";

export type Range = readonly [from: number, to: number];

/** An address with an arbitrary mask; `prefix` form when the mask has no holes (nearly always). */
export interface MaskedIp {
  ip: Ip;
  mask: Ip;
}

/** `-m set` directions and their order: `src,dst`. */
export type SetDir = "src" | "dst";

/**
 * A match. `not` is the `!` before it. Every kind that is not listed parses into `unmodelled`,
 * which keeps its words for printing and makes the engine branch as unknown.
 */
export type XtMatch =
  | { m: "src" | "dst"; not: boolean; prefix: Prefix }
  | { m: "src-mask" | "dst-mask"; not: boolean; addr: MaskedIp }
  | { m: "in" | "out"; not: boolean; /** With a trailing `+` every name with this beginning. */ name: string }
  /** `proto` 0 is every protocol. */
  | { m: "proto"; not: boolean; proto: number }
  | { m: "fragment"; not: boolean }
  | {
      m: "sport" | "dport";
      /** tcp, udp, sctp, dccp, udplite as printed by `-m`. */ ext: string;
      not: boolean;
      range: Range;
    }
  | { m: "tcp-flags"; not: boolean; mask: number; comp: number }
  | { m: "tcp-option"; not: boolean; option: number }
  | { m: "icmp"; v6: boolean; not: boolean; /** 255 with v4: any. */ type: number; code: Range }
  | { m: "multiport"; not: boolean; side: "src" | "dst" | "both"; ports: readonly Range[] }
  | {
      m: "addrtype";
      srcNot: boolean;
      src: readonly string[] | null;
      dstNot: boolean;
      dst: readonly string[] | null;
      limitIface: "in" | "out" | null;
    }
  | {
      m: "conntrack";
      /** Printed by `-m state` when true. */
      viaState: boolean;
      state: { not: boolean; states: readonly string[] } | null;
      status: { not: boolean; statuses: readonly string[] } | null;
      proto: { not: boolean; proto: number } | null;
      origsrc: { not: boolean; prefix: Prefix } | null;
      origdst: { not: boolean; prefix: Prefix } | null;
      replsrc: { not: boolean; prefix: Prefix } | null;
      repldst: { not: boolean; prefix: Prefix } | null;
      origsrcport: { not: boolean; range: Range } | null;
      origdstport: { not: boolean; range: Range } | null;
      replsrcport: { not: boolean; range: Range } | null;
      repldstport: { not: boolean; range: Range } | null;
      expire: { not: boolean; range: Range } | null;
      dir: "ORIGINAL" | "REPLY" | null;
    }
  | { m: "mark" | "connmark"; not: boolean; value: number; mask: number }
  /** `p` is the printed decimal text, `num`/`den` its meaning (contract.md: 1/n within 2^-30, else n/2^31). */
  | { m: "random"; not: boolean; p: string; num: number; den: number }
  | { m: "nth"; not: boolean; every: number; packet: number }
  | {
      m: "set";
      not: boolean;
      name: string;
      dirs: readonly SetDir[];
      /** Options such as --return-nomatch, in order. */ options: readonly string[];
    }
  | {
      m: "recent";
      not: boolean;
      op: "set" | "rcheck" | "update" | "remove";
      seconds: number | null;
      reap: boolean;
      hitcount: number | null;
      rttl: boolean;
      name: string;
      mask: Ip | null;
      side: "src" | "dst";
    }
  | { m: "rpfilter"; loose: boolean; validmark: boolean; acceptLocal: boolean; invert: boolean }
  | {
      m: "physdev";
      in: { not: boolean; name: string } | null;
      out: { not: boolean; name: string } | null;
      isIn: boolean | null;
      isOut: boolean | null;
      isBridged: boolean | null;
    }
  | { m: "mac"; not: boolean; mac: string }
  | { m: "socket"; transparent: boolean; nowildcard: boolean; restoreSkmark: boolean }
  | { m: "ttl" | "hl"; op: "eq" | "ne" | "lt" | "gt"; value: number }
  | { m: "length"; not: boolean; range: Range }
  | { m: "limit"; rate: string; burst: number | null }
  | { m: "hashlimit"; words: readonly string[] }
  | { m: "owner"; not: boolean; what: "uid" | "gid" | "socket-exists"; range: Range | null; supplGroups: boolean }
  | { m: "comment"; text: string }
  | { m: "tcpmss"; not: boolean; range: Range }
  | { m: "dscp"; not: boolean; value: number }
  | { m: "tos"; not: boolean; value: number; mask: number }
  | { m: "pkttype"; not: boolean; type: "unicast" | "broadcast" | "multicast" | "host" | "otherhost" }
  | { m: "iprange"; src: { not: boolean; from: Ip; to: Ip } | null; dst: { not: boolean; from: Ip; to: Ip } | null }
  | { m: "realm"; not: boolean; value: number; mask: number }
  | { m: "helper"; not: boolean; name: string }
  | { m: "connbytes"; words: readonly string[] }
  | { m: "connlimit"; words: readonly string[] }
  | { m: "nfacct"; name: string }
  | { m: "cgroup"; words: readonly string[] }
  | {
      m: "devgroup";
      src: { not: boolean; value: number; mask: number } | null;
      dst: { not: boolean; value: number; mask: number } | null;
    }
  | { m: "ecn"; words: readonly string[] }
  /** IPv6 extension headers (`-m ipv6header`, `frag`, `rt`, `hbh` …), u32, bpf, string, time, quota, cluster … */
  | { m: "unmodelled"; module: string; words: readonly string[] };

export interface NatRange {
  /** Null: keep the address. */
  min: Ip | null;
  max: Ip | null;
  ports: Range | null;
  /** `--to-destination ADDR:FROM-TO/BASE` (shifted port mapping). */
  basePort: number | null;
}

/** Where a rule sends the packet, or what it does to it. */
export type XtTarget =
  /** No `-j`: the rule only counts. */
  | { t: "none" }
  | { t: "accept" | "drop" | "return" }
  | { t: "queue"; words: readonly string[] }
  | { t: "jump" | "goto"; chain: string }
  | { t: "reject"; /** icmp-port-unreachable, tcp-reset, icmp6-adm-prohibited … as printed. */ with: string }
  /** mark = (mark & ~mask) ^ value, the kernel's form of all of MARK's options. */
  | { t: "mark"; value: number; mask: number }
  | { t: "connmark-set"; value: number; mask: number }
  | { t: "connmark-save" | "connmark-restore"; nfmask: number; ctmask: number }
  | { t: "dnat" | "snat"; range: NatRange; random: boolean; randomFully: boolean; persistent: boolean }
  | { t: "masquerade"; ports: Range | null; random: boolean; randomFully: boolean }
  | { t: "redirect"; ports: Range | null; random: boolean }
  | { t: "netmap"; to: Prefix }
  | { t: "notrack" }
  | {
      t: "ct";
      notrack: boolean;
      zone: number | null;
      zoneDir: "orig" | "reply" | null;
      zoneFromMark: boolean;
      helper: string | null;
      words: readonly string[];
    }
  /** `v6` in ip6tables, where no address is printed as `::`. */
  | { t: "tproxy"; v6?: boolean; ip: Ip | null; port: number; value: number; mask: number }
  | { t: "set"; op: "add" | "del" | "map"; set: string; dirs: readonly SetDir[]; words: readonly string[] }
  | { t: "tcpmss"; clamp: boolean; mss: number | null }
  | { t: "tee"; gateway: Ip; oif: string | null }
  | { t: "classify"; class: string }
  | { t: "dscp"; value: number }
  | { t: "tos"; value: number; mask: number }
  /** `v6`: HL of ip6tables. */
  | { t: "ttl"; v6?: boolean; op: "set" | "inc" | "dec"; value: number }
  /** Targets that let the packet go on unchanged as far as its path is concerned: LOG, NFLOG, TRACE, CHECKSUM, AUDIT … */
  | { t: "side-effect"; name: string; words: readonly string[] }
  /** Not modelled: SYNPROXY, CLUSTERIP, DNPT … */
  | { t: "unmodelled"; name: string; words: readonly string[] };

export interface XtRule {
  /** Line of the save file. */
  line: number;
  /** Packet and byte counters; null when the save was made without -c. */
  packets: number | null;
  bytes: number | null;
  matches: readonly XtMatch[];
  target: XtTarget;
}

export interface XtChain {
  name: string;
  line: number;
  /** Policy of a built-in chain; null for one that a user made. */
  policy: "ACCEPT" | "DROP" | null;
  /** Counters of the policy, which are printed with and without -c; absent means zero. */
  packets?: number;
  bytes?: number;
  rules: XtRule[];
  /**
   * Where nodes have the same chain on other lines: its rules but for their lines and counters, one array for all of these nodes.
   * See `alikeRules`.
   */
  readonly alike?: readonly XtRule[];
}

/**
 * The rules of a chain to look through, when lines and counters do not matter: chains that are equal on hundreds of nodes give the very same
 * array, and none is made for a node of its own.
 */
export const alikeRules = (chain: XtChain): readonly XtRule[] => chain.alike ?? chain.rules;

export interface XtTable {
  /** filter, nat, mangle, raw, security. */
  name: string;
  line: number;
  chains: XtChain[];
}

/** One save file. */
export interface XtRuleset {
  file: string;
  family: "ip" | "ip6";
  backend: "nft" | "legacy";
  tables: XtTable[];
  /**
   * Tables that iptables-nft-save could not print, because someone else wrote in them: `whole`, the table is missing from `tables`;
   * otherwise only base chains of nft's own are. Absent when there are none.
   */
  incompatible?: { table: string; line: number; whole: boolean }[];
}
