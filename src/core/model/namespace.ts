/** One network namespace as a node's own commands describe it. */
import type { CtEntry } from "./conntrack.ts";
import type { IpSet } from "./ipset.ts";
import type { IpvsService } from "./ipvs.ts";
import type { FdbEntry, Link, Neighbour } from "./link.ts";
import type { NftRuleset } from "./nftables.ts";
import type { PolicyRule, Route } from "./route.ts";
import type { Socket } from "./socket.ts";
import type { Sysctls } from "./sysctl.ts";
import type { XtRuleset } from "./xtables.ts";

/** The parts that a namespace's description has; each can be missing on its own. */
export type Aspect =
  | "addr"
  | "route4"
  | "route6"
  | "rule4"
  | "rule6"
  | "neigh"
  | "neigh-proxy"
  | "fdb"
  | "bridge-link"
  | "vlan"
  | "nexthop"
  | "nsid"
  | "iptables"
  | "ip6tables"
  | "iptables-legacy"
  | "ip6tables-legacy"
  | "nft"
  | "ipset"
  | "ipvs"
  | "conntrack"
  | "conntrack6"
  | "sockets"
  | "sysctl"
  | "tc"
  | "recent";

/** Entries of /proc/net/xt_recent by list name. `lastSeen` in jiffies, as the file gives them. */
export interface RecentList {
  name: string;
  entries: { ip: import("./address.ts").Ip; ttl: number; lastSeen: number; stamps: number[]; line: number }[];
}

export interface TcProgram {
  dev: string;
  /** clsact, ingress, or a qdisc kind that can drop or redirect; from `tc qdisc show` and filters when recorded. */
  kind: string;
  line: number;
}

export interface NamespaceId {
  /** `n1/host`, `n1/pod/shop/web-1`, `n1/netns/4026532617`, `outside/host`. */
  place: string;
  node: string;
  pod: { namespace: string; name: string } | null;
  inode: number | null;
  /** Path of the namespace on the node (/run/netns/NAME), to match `ip netns list-id`. */
  path: string | null;
}

export interface Namespace extends NamespaceId {
  /** Folder in the snapshot, `nodes/n1/host`. */
  dir: string;
  links: Link[];
  routes4: Route[];
  routes6: Route[];
  rules4: PolicyRule[];
  rules6: PolicyRule[];
  neighbours: Neighbour[];
  proxyNeighbours: Neighbour[];
  fdb: FdbEntry[];
  /** `ip netns list-id`: number → name (null when the kernel has no name for it). */
  nsids: { id: number; name: string | null }[];
  /** At most four: nft-backed and legacy, both families. */
  xtables: XtRuleset[];
  nft: NftRuleset | null;
  ipsets: IpSet[];
  ipvs: IpvsService[];
  conntrack: CtEntry[];
  sockets: Socket[];
  sysctls: Sysctls;
  tc: TcProgram[];
  recent: RecentList[];
  /** Aspects that could not be had, each with the reason (command, exit status, stderr; or file:line of what was malformed). */
  missing: Map<Aspect, string>;
}
