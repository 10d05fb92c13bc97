/** An nftables ruleset as `nft -j list ruleset` gives it. */
import type { Source } from "./source.ts";

export type NftFamily = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";

/** Any JSON value: expressions keep nft's own JSON shape (libnftables-json(5)), which is what the compiler reads. */
export type NftJson = null | boolean | number | string | NftJson[] | { [key: string]: NftJson };

export interface NftRule {
  handle: number;
  /** Statements in order, each an object with one key: match, counter, jump, vmap, mangle, dnat … */
  expr: NftJson[];
  comment: string | null;
  /** Attributes that nothing here reads, for printing. */
  more?: { [key: string]: NftJson };
  /** Where people read it: the line of nft.txt with this handle when there is one, else of nft.json. */
  source: Source;
}

export interface NftChain {
  name: string;
  handle: number;
  /** Null for a regular chain. */
  base: {
    type: "filter" | "nat" | "route" | string;
    hook: string;
    priority: number;
    policy: "accept" | "drop";
    devices: string[];
    /** Its `type … hook … policy` declaration. */
    source: Source;
  } | null;
  rules: NftRule[];
  /** Attributes that nothing here reads (`comment` …), for printing. */
  more?: { [key: string]: NftJson };
  source: Source;
}

/** A named set or map. */
export interface NftSet {
  name: string;
  handle: number;
  isMap: boolean;
  /** Types of the key's parts, in order: ipv4_addr, inet_proto, inet_service, ifname, mark … ; from `type` or `typeof`. */
  keyTypes: string[];
  /** A map's value type ("verdict", "ipv4_addr", …); null for a set. Concatenated values are joined with " . ". */
  valueType: string | null;
  flags: string[];
  /** Elements in nft's JSON shape: keys, or [key, value] pairs for maps. */
  elements: NftJson[];
  timeout: number | null;
  /** Further attributes as they stand: `size`, `comment`, `policy`, `gc-interval`, `stmt`, and `type` and `map` when they are no plain names. */
  more?: { [key: string]: NftJson };
  source: Source;
}

export interface NftTable {
  family: NftFamily;
  name: string;
  handle: number;
  /** `dormant`, `owner` … */
  flags: string[];
  chains: NftChain[];
  sets: NftSet[];
  /** Stateful objects, flowtables and the like, by kind and name, for what is not modelled. */
  objects: { kind: string; name: string; json: NftJson }[];
  /** Attributes that nothing here reads (`comment` …), for printing. */
  more?: { [key: string]: NftJson };
  source: Source;
}

export interface NftRuleset {
  file: string;
  tables: NftTable[];
}
