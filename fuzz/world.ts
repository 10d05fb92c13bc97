/** What a case is made of: plain data, so that it can be stored, replayed and shrunk item by item. */

/** When an item is applied; later ones may refer to what earlier ones made. */
export type Phase = "sysctl-before" | "link" | "upper" | "address" | "fdb" | "sysctl" | "route" | "server";

/** One droppable piece of a world. `ns` is the index of its namespace. */
export type Item =
  /** A line of `ip -batch`. */
  | { ns: number; phase: "link" | "upper" | "address" | "route"; kind: "ip"; text: string; feature: string }
  /** A line of `bridge -batch`. */
  | { ns: number; phase: "fdb"; kind: "bridge"; text: string; feature: string }
  /** A setting, path below /proc/sys. */
  | { ns: number; phase: "sysctl-before" | "sysctl"; kind: "sysctl"; path: string; value: string; feature: string }
  | { ns: number; phase: "server"; kind: "server"; server: ServerSpec; feature: string };

export interface ServerSpec {
  proto: "tcp" | "udp";
  family: 4 | 6;
  port: number;
  /** Bound address; absent for the wildcard. */
  addr?: string;
  v6only?: boolean;
  /** SO_BINDTODEVICE. */
  dev?: string;
  /** IP_TRANSPARENT, for TPROXY. */
  transparent?: boolean;
}

/** Namespaces, links, addresses, routes, settings and sockets: what stays while rulesets come and go. */
export interface World {
  /** Names of the namespaces; the first is recorded as the node's host. */
  namespaces: string[];
  items: Item[];
}

export type XtBackend = "nft" | "legacy";
export type XtTableName = "raw" | "mangle" | "nat" | "filter";

/** One droppable piece of a ruleset. Chains and sets come before the rules that name them. */
export type RuleItem =
  /** `-A CHAIN` is put before `text` of a rule. A null policy makes a user's chain. */
  | {
      ns: number;
      kind: "xt-chain";
      backend: XtBackend;
      family: 4 | 6;
      table: XtTableName;
      chain: string;
      policy: "ACCEPT" | "DROP" | null;
      feature: string;
    }
  | {
      ns: number;
      kind: "xt-rule";
      backend: XtBackend;
      family: 4 | 6;
      table: XtTableName;
      chain: string;
      text: string;
      feature: string;
    }
  /** A line of `ipset restore`. */
  | { ns: number; kind: "ipset"; text: string; feature: string }
  /** A line of `nft -f`: add table, add set, add chain, add rule … */
  | { ns: number; kind: "nft"; text: string; feature: string };

export interface Ruleset {
  items: RuleItem[];
}

/** A packet to send: a program in namespace `ns` calls connect(), send() or ping. */
export interface Probe {
  ns: number;
  proto: "tcp" | "udp" | "icmp";
  family: 4 | 6;
  to: string;
  /** Absent for ICMP. */
  port?: number;
  /** Source port, or the identifier of an ICMP echo. */
  sport: number;
  mark?: number;
  ttl?: number;
  /** Bytes of the packet from its IP header on. */
  size?: number;
}

/** What the program met. */
export interface Observed {
  client: string;
  /** errno's name where there was one. */
  errno: string | null;
  /** Which call failed: bind, connect, send, recv, error (the error queue). */
  at: string | null;
  /** Namespace (index), address and port that answered, and the client as it saw it; null when nobody answered or it is not known who. */
  server: Seen | null;
  /** UDP: who got the datagram, whether or not its answer came back. */
  delivered: Seen | null;
  /** ICMP: who the echo reply came from. */
  sender: string | null;
  /** UDP: errno with which the server failed to answer. */
  unsent: string | null;
}

export interface Seen {
  ns: number;
  address: string;
  port: number;
  clientAddress: string;
  clientPort: number;
}
