/** What makes two pieces of state the same piece, how they are printed, and which of them the kernel makes by itself. */
import type {
  AddressState,
  FdbState,
  LinkState,
  NeighbourState,
  RouteState,
  RuleLookupState,
} from "../networks/state.ts";
import type { PieceKind } from "./pieces.ts";

/** Devices that a module makes in every namespace when it is loaded (ip_tunnel_init_net, sit_init_net …, with fb_tunnels_only_for_init_net at 0). */
const FALLBACK: ReadonlySet<string> = new Set([
  "lo",
  "tunl0",
  "gre0",
  "gretap0",
  "erspan0",
  "ip_vti0",
  "ip6_vti0",
  "sit0",
  "ip6tnl0",
  "ip6gre0",
]);

export const LINKS: PieceKind<LinkState> = {
  kind: "link",
  key: (link) => link.name,
  text: (link) => `${link.name} (${link.type})`,
  ofKernel: (link) => FALLBACK.has(link.name),
};

export const ADDRESSES: PieceKind<AddressState> = {
  kind: "address",
  key: (address) => `${address.dev} ${address.address}`,
  text: (address) => `${address.address} dev ${address.dev}`,
  // An IPv6 device gives itself a link-local address (addrconf_addr_gen).
  ofKernel: (address) => address.dev === "lo" || (address.address.startsWith("fe80:") && address.scope === "link"),
};

const wayText = (way: RouteState["ways"][number]): string =>
  [
    way.via === null ? "" : `via ${way.via}`,
    way.dev === null ? "" : `dev ${way.dev}`,
    way.onlink === true ? "onlink" : "",
  ]
    .filter((word) => word !== "")
    .join(" ");

const TABLES: Record<number, string> = { 253: "default", 254: "main", 255: "local" };

export const ROUTES: PieceKind<RouteState> = {
  kind: "route",
  key: (route) => `${route.family} ${route.table} ${route.dst} ${route.metric}`,
  text: (route) =>
    [
      route.type === "unicast" ? "" : route.type,
      route.dst,
      ...route.ways.map(wayText),
      route.table === 254 ? "" : `table ${TABLES[route.table] ?? route.table}`,
      route.protocol === undefined ? "" : `proto ${route.protocol}`,
      route.metric === 0 ? "" : `metric ${route.metric}`,
    ]
      .filter((word) => word !== "")
      .join(" "),
  ofKernel: () => false,
};

export const RULE_LOOKUPS: PieceKind<RuleLookupState> = {
  kind: "rule-lookup",
  key: (rule) => `${rule.family} ${rule.priority}`,
  text: (rule) => `${rule.priority}: ${rule.selector} ${rule.action}`,
  ofKernel: () => false,
};

/** States of entries that the kernel learned, or tries to: a program writes PERMANENT or NOARP. */
const LEARNED: ReadonlySet<string> = new Set([
  "REACHABLE",
  "STALE",
  "DELAY",
  "PROBE",
  "INCOMPLETE",
  "FAILED",
  "NONE",
  "",
]);

const isMulticast = (ip: string): boolean =>
  ip.startsWith("ff") || (Number(ip.split(".", 1)[0]) >= 224 && Number(ip.split(".", 1)[0]) <= 255);

export const NEIGHBOURS: PieceKind<NeighbourState> = {
  kind: "neighbour",
  key: (neighbour) => `${neighbour.proxy === true} ${neighbour.dev} ${neighbour.ip}`,
  text: (neighbour) =>
    `${neighbour.ip} dev ${neighbour.dev}${typeof neighbour.mac === "string" ? ` lladdr ${neighbour.mac}` : ""} ${neighbour.state ?? ""}`,
  // arp_constructor and ndisc_constructor: multicast, broadcast, all that leaves by lo, and all that leaves by a device without
  // addresses of its link (tunl0) get NOARP entries.
  ofKernel: (neighbour) =>
    neighbour.proxy !== true &&
    (LEARNED.has(neighbour.state ?? "") ||
      (neighbour.state === "NOARP" &&
        (neighbour.dev === "lo" || isMulticast(neighbour.ip) || typeof neighbour.mac !== "string"))),
};

/** Keys of entries that stand for a device's own address on its bridge carry the device, so the kernel's are found by their state. */
export const FDB: PieceKind<FdbState> = {
  kind: "fdb",
  key: (entry) => `${entry.dev} ${entry.mac} ${entry.vlan ?? ""}`,
  text: (entry) =>
    [
      entry.mac,
      `dev ${entry.dev}`,
      typeof entry.dst === "string" ? `dst ${entry.dst}` : "",
      typeof entry.master === "string" ? `master ${entry.master}` : "self",
      entry.state ?? "",
    ]
      .filter((word) => word !== "")
      .join(" "),
  ofKernel: (entry) =>
    // dev_mc_add: groups that the device listens to.
    (Number.parseInt(entry.mac.slice(0, 2), 16) & 1) === 1 ||
    // dev_uc_add: addresses that a device answers to besides its own, such as those of macvlan devices on it.
    (typeof entry.master !== "string" && typeof entry.dst !== "string" && entry.state === "permanent") ||
    // br_fdb_update (learned; stale past its ageing time), br_fdb_change_mac_address (a port's or the bridge's own).
    (typeof entry.master === "string" &&
      (entry.state === "" || entry.state === "stale" || entry.state === "permanent")),
};
