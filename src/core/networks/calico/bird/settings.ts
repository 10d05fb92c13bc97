/** What confd reads of BGP before it writes BIRD's configuration: the cluster's settings and each node's own (confd/pkg/backends/calico). */
import { formatIp, parseIp, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { wholeSeconds } from "../../go-duration.ts";
import { list, object, text, whole, type Raw } from "../../raw.ts";
import { calicoObjects } from "../objects.ts";
import { oncePer } from "../../once.ts";

/** The number of every node that has none of its own (confd client.go, globalDefaults). */
const DEFAULT_AS = 64512;
/** Metric of routes to pods that nothing raises, of either family (FelixConfiguration ipv4NormalRoutePriority). */
const NORMAL_PRIORITY = 1024;
/** Local preference and metric of a route make this together. */
export const PREFERENCE_SUM = 2 ** 31 - 1;

/** A node that takes part in BGP: Calico wrote its address on it. */
export interface BgpNode {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** By family; null when it has none. */
  address: { 4: string | null; 6: string | null };
  /** The subnet that it stands in. */
  subnet: { 4: Prefix | null; 6: Prefix | null };
  as: number;
  /** Cluster id of a route reflector; null for others. */
  cluster: string | null;
  /** Address of its WireGuard device; null without. */
  wireguard: { 4: string | null; 6: string | null };
  port: number | null;
}

/** A node's own BGPConfiguration (`node.NAME`), or the cluster's (`default`). */
export interface BgpSettings {
  as: number;
  mesh: boolean;
  /** Seconds for graceful restart in the mesh; null when not said. */
  meshRestart: number | null;
  port: number | null;
  /** info, debug or none. */
  logLevel: string;
  /** Whether BIRD listens on the node's address alone. */
  bindNodeAddress: boolean;
  ignoredInterfaces: string[];
  serviceClusterIPs: string[];
  serviceExternalIPs: string[];
  serviceLoadBalancerIPs: string[];
  /** Whether the whole LoadBalancer ranges are announced, not only addresses. */
  aggregate: boolean;
  /** Which routes to other nodes BIRD writes; Felix writes the others. */
  programs: { ipip: boolean; plain: boolean };
  priority: { 4: number; 6: number };
  /** Prefixes with the communities that they are announced with. */
  communities: { cidr: string; values: string[] }[];
}

const specs = oncePer(
  (cluster: Cluster) => new Map(calicoObjects(cluster, "bgpconfigurations").map(({ name, spec }) => [name, spec])),
);

function specOf(cluster: Cluster, name: string): Raw | null {
  return specs(cluster).get(name) ?? null;
}

const cidrs = (spec: Raw, field: string): string[] =>
  list(spec[field]).flatMap((each) => {
    const prefix = text(object(each)["cidr"]);
    return prefix === null || parsePrefix(prefix) === null ? [] : [prefix];
  });

/** Prefixes with their communities; those named in `communities` by their values, sorted, each once. */
function advertisements(spec: Raw): { cidr: string; values: string[] }[] {
  const named = new Map(
    list(spec["communities"]).map((each) => [text(object(each)["name"]), text(object(each)["value"])] as const),
  );
  return list(spec["prefixAdvertisements"]).flatMap((each) => {
    const { cidr, communities } = object(each);
    const values = list(communities).flatMap((value) => {
      const given = text(value);
      return given === null ? [] : [/^\d+(?::\d+){1,2}$/.test(given) ? given : (named.get(given) ?? "")];
    });
    const unique = [...new Set(values.filter((value) => value !== ""))].toSorted();
    return text(cidr) === null || unique.length === 0 ? [] : [{ cidr: text(cidr)!, values: unique }];
  });
}

/** Bird's level of a Calico severity: anything but debug and info says nothing (getLogSeverityKVPair). */
function levelOf(spec: Raw | null): string | null {
  const level = text(spec?.["logSeverityScreen"])?.toLowerCase() ?? null;
  return level === null || level === "debug" || level === "info" ? level : "none";
}

/** The settings that hold on a node: its own where it has them, else the cluster's. */
export function settingsOf(cluster: Cluster, node: string): BgpSettings {
  const global = specOf(cluster, "default") ?? {};
  const own = specOf(cluster, `node.${node}`);
  const programs = text(global["programClusterRoutes"]);
  const known = ["Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"].includes(programs ?? "");
  const value = known ? programs : "EnabledNoEncapOnly";
  const either = (field: string): unknown => own?.[field] ?? global[field];
  return {
    as: whole(global["asNumber"]) || DEFAULT_AS,
    mesh: global["nodeToNodeMeshEnabled"] !== false,
    meshRestart: wholeSeconds(global["nodeMeshMaxRestartTime"]),
    port: whole(either("listenPort")) || null,
    logLevel: levelOf(own) ?? levelOf(global) ?? "info",
    bindNodeAddress: text(either("bindMode")) === "NodeIP",
    ignoredInterfaces: list(either("ignoredInterfaces")).filter((each) => typeof each === "string"),
    serviceClusterIPs: cidrs(global, "serviceClusterIPs"),
    serviceExternalIPs: cidrs(global, "serviceExternalIPs"),
    serviceLoadBalancerIPs: cidrs(global, "serviceLoadBalancerIPs"),
    aggregate: text(global["serviceLoadBalancerAggregation"]) !== "Disabled",
    programs: {
      ipip: value === "Enabled" || value === "EnabledIPIPOnly",
      plain: value === "Enabled" || value === "EnabledNoEncapOnly",
    },
    priority: {
      4: whole(either("ipv4NormalRoutePriority")) || NORMAL_PRIORITY,
      6: whole(either("ipv6NormalRoutePriority")) || NORMAL_PRIORITY,
    },
    communities:
      own !== null && list(own["prefixAdvertisements"]).length > 0 ? advertisements(own) : advertisements(global),
  };
}

/** The ranges of Services that are told to peers, each once, sorted. */
export function serviceRanges(settings: BgpSettings): string[] {
  const all = [...settings.serviceClusterIPs, ...settings.serviceExternalIPs, ...settings.serviceLoadBalancerIPs];
  return [...new Set(all)].toSorted();
}

/** The nodes that take part in BGP, by name (libcalico-go/lib/backend/k8s/resources/node.go). */
export const bgpNodes = oncePer((cluster: Cluster): BgpNode[] => {
  const { as: common, port } = settingsOf(cluster, "");
  const nodes = cluster.nodes.map(({ name, labels, annotations }): BgpNode => {
    const note = (key: string): string | null => annotations[`projectcalico.org/${key}`] || null;
    const ip = (key: string): string | null => {
      const parsed = parseIp(note(key)?.split("/", 1)[0] ?? "");
      return parsed === null ? null : formatIp(parsed);
    };
    const own = specOf(cluster, `node.${name}`);
    return {
      name,
      labels,
      address: { 4: ip("IPv4Address"), 6: ip("IPv6Address") },
      subnet: { 4: parsePrefix(note("IPv4Address") ?? ""), 6: parsePrefix(note("IPv6Address") ?? "") },
      as: Number(note("ASNumber") ?? 0) || common,
      cluster: note("RouteReflectorClusterID"),
      wireguard: { 4: ip("IPv4WireguardInterfaceAddr"), 6: ip("IPv6WireguardInterfaceAddr") },
      port: whole(own?.["listenPort"]) || port,
    };
  });
  return nodes
    .filter(({ address }) => address[4] !== null || address[6] !== null)
    .toSorted((x, y) => (x.name < y.name ? -1 : 1));
});
