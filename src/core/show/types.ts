/** What `kubewalk show` says: kubewalk.show/v1, as types. The schema in src/core/schema/show.ts is checked against these. */
import type { Source } from "../model/source.ts";

/** The far end of a link. */
export interface ShownPeer {
  at: string;
  dev: string;
}

export interface ShownLink {
  index: number;
  name: string;
  kind: string;
  up: boolean;
  carrier: boolean;
  mtu: number;
  mac: string | null;
  /** `10.244.0.1/24`. */
  addresses: string[];
  master: string | null;
  /** Null when there is none, or when the snapshot does not tell which it is. */
  peer: ShownPeer | null;
  source: Source;
}

/** Rules of one table. `nftables` are tables that nft alone made; the other backends are those of iptables. */
export interface ShownTable {
  backend: "iptables-nft" | "iptables-legacy" | "nftables";
  family: string;
  table: string;
  chains: number;
  rules: number;
  source: Source;
}

export interface ShownSet {
  name: string;
  type: string;
  entries: number;
  source: Source;
}

export interface ShownMissing {
  aspect: string;
  reason: string;
}

/** One namespace in a few numbers. */
export interface ShownNamespace {
  place: string;
  node: string;
  dir: string;
  links: ShownLink[];
  routes: { ipv4: number; ipv6: number };
  rules: { ipv4: number; ipv6: number };
  neighbours: number;
  fdb: number;
  tables: ShownTable[];
  sets: { count: number; entries: number };
  ipvsServices: number;
  conntrack: number;
  sockets: number;
  missing: ShownMissing[];
}

export interface ShownPod {
  namespace: string;
  name: string;
  node: string | null;
  phase: string | null;
  hostNetwork: boolean;
  addresses: string[];
  /** Null when its network was not recorded. */
  place: string | null;
}

export interface ShownService {
  namespace: string;
  name: string;
  type: string;
  addresses: string[];
  /** `80/tcp`. */
  ports: string[];
  readyEndpoints: number;
}

export interface ShownNode {
  name: string;
  addresses: string[];
  /** Places that were recorded of it. */
  places: number;
}

/** A whole snapshot. */
export interface ShownSnapshot {
  format: "kubewalk.show/v1";
  about: "snapshot";
  takenAt: string | null;
  info: Record<string, unknown>;
  nodes: ShownNode[];
  /** Routers and hosts recorded beside the nodes. */
  beside: ShownNode[];
  pods: ShownPod[];
  services: ShownService[];
  namespaces: ShownNamespace[];
  segments: { name: string; attached: { node: string; dev: string }[] }[] | null;
  /** Cluster resources that could not be had. */
  missing: { resource: string; reason: string }[];
  /** Files that could not be read as what they should be. */
  problems: { file: string; line: number; message: string }[];
}

/** Anything of which a line of the snapshot says all: a route, a neighbour, a socket. */
export interface ShownLine {
  family?: string;
  text: string;
  source: Source;
}

export interface ShownChain {
  backend: ShownTable["backend"];
  family: string;
  table: string;
  chain: string;
  /** Hook and priority of a base chain, policy of a built-in one; null for the others. */
  base: string | null;
  rules: number;
  source: Source;
}

/** One namespace with everything in it. */
export interface ShownPlace {
  format: "kubewalk.show/v1";
  about: "place";
  namespace: ShownNamespace;
  routes: ShownLine[];
  rules: ShownLine[];
  neighbours: ShownLine[];
  fdb: ShownLine[];
  chains: ShownChain[];
  sets: ShownSet[];
  ipvs: ShownLine[];
  conntrack: ShownLine[];
  sockets: ShownLine[];
  /** Settings that decide over forwarding, filtering by source, ARP, bridging and connection tracking. */
  sysctls: { key: string; value: string; source: Source }[];
}
