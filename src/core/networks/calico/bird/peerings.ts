/**
 * Which peerings BGPPeers ask for, and of which nodes: for all nodes, for some, and their reverse (confd client.go, updatePeersV1;
 * bgp_processor.go).
 */
import { formatIp, parseIp } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { oncePer } from "../../once.ts";
import { takes } from "../ipam/labels.ts";
import { text, whole } from "../../raw.ts";
import { calicoObjects, type CalicoObject } from "../objects.ts";
import { bgpNodes, settingsOf, type BgpNode } from "./settings.ts";

/** A peering before it is one node's (bgpPeer in client.go). */
export interface Peering {
  address: string;
  port: number | null;
  as: number;
  /** `BGPPeer NAME`. */
  from: string;
  cluster: string | null;
  /** Whether the BGPPeer gives its address, and it is a node's. */
  namedNode: boolean;
  spec: CalicoObject["spec"];
}

/** `192.0.2.1:179`, `[2001:db8::1]:179`, or an address alone; null when it is none. */
function addressAndPort(given: string | null): { address: string; port: number | null } | null {
  const found = /^\[(.+)\]:(\d+)$|^([\d.]+):(\d+)$/.exec(given ?? "");
  const ip = parseIp(found?.[1] ?? found?.[3] ?? given ?? "");
  const port = Number(found?.[2] ?? found?.[4] ?? 0) || null;
  return ip === null ? null : { address: formatIp(ip), port };
}

const hasAddress = (node: BgpNode, address: string): boolean =>
  node.address[4] === address || node.address[6] === address;

/** The nodes that are the peer at this address; with another AS number they are not meant. */
function nodesAt(nodes: readonly BgpNode[], address: string, as: number, port: number | null): BgpNode[] {
  return nodes.filter(
    (node) =>
      hasAddress(node, address) && node.as === as && (port === null || node.port === null || node.port === port),
  );
}

/** A node as somebody's peer, by each of its addresses. */
function asPeers(node: BgpNode, from: string, spec: CalicoObject["spec"], families: readonly (4 | 6)[]): Peering[] {
  return families.flatMap((family) => {
    const address = node.address[family];
    if (address === null) return [];
    return [{ address, port: node.port, as: node.as, cluster: node.cluster, namedNode: false, from, spec }];
  });
}

const BOTH = [4, 6] as const;

/** Nodes that a BGPPeer is for: by name, else by selector; all when it says neither. */
function nodesFor({ spec }: CalicoObject, nodes: readonly BgpNode[]): BgpNode[] {
  const selector = text(spec["nodeSelector"]);
  if (selector !== null) return nodes.filter((node) => takes(selector, node.labels));
  const name = text(spec["node"]);
  return name === null ? [...nodes] : nodes.filter((node) => node.name === name);
}

/** Who the peers of a BGPPeer are. */
function peersOf({ name, spec }: CalicoObject, nodes: readonly BgpNode[], common: number): Peering[] {
  const from = `BGPPeer ${name}`;
  const selector = text(spec["peerSelector"]);
  if (selector !== null)
    return nodes.filter((node) => takes(selector, node.labels)).flatMap((node) => asPeers(node, from, spec, BOTH));
  const given = addressAndPort(text(spec["peerIP"]));
  if (given === null) return [];
  const as = whole(spec["asNumber"]) || common;
  const port = given.port ?? nodesAt(nodes, given.address, as, null)[0]?.port ?? null;
  const namedNode = nodes.some((node) => hasAddress(node, given.address));
  return [{ address: given.address, port, as, cluster: null, namedNode, from, spec }];
}

/** The nodes that are the other end, with a peering back (reversePeering); none when it is asked not to. */
function farNodes({ spec }: CalicoObject, nodes: readonly BgpNode[], common: number): BgpNode[] {
  if (text(spec["reversePeering"]) === "Manual") return [];
  const selector = text(spec["peerSelector"]);
  if (selector !== null) return nodes.filter((node) => takes(selector, node.labels));
  const given = addressAndPort(text(spec["peerIP"]));
  return given === null ? [] : nodesAt(nodes, given.address, whole(spec["asNumber"]) || common, given.port);
}

/** The nodes of a BGPPeer as their peers see them, of the families that it is of. */
function backPeerings({ name, spec }: CalicoObject, near: readonly BgpNode[]): Peering[] {
  const given = text(spec["peerSelector"]) === null ? addressAndPort(text(spec["peerIP"])) : null;
  const families = given === null ? BOTH : ([given.address.includes(":") ? 6 : 4] as const);
  return near.flatMap((node) => asPeers(node, `BGPPeer ${name}`, spec, families));
}

/** What a BGPPeer means for the cluster's nodes. */
interface Resolved {
  kind: "global" | "node";
  near: ReadonlySet<BgpNode>;
  peerings: readonly Peering[];
  far: ReadonlySet<BgpNode>;
  back: readonly Peering[];
}

/** The BGPPeers of a cluster in their order, read once for all of its nodes. */
const resolvedPeers = oncePer((cluster: Cluster): Resolved[] => {
  const nodes = bgpNodes(cluster);
  const { as } = settingsOf(cluster, "");
  const objects = calicoObjects(cluster, "bgppeers").filter(({ spec }) => text(spec["localWorkloadSelector"]) === null);
  return objects.map((object): Resolved => {
    const near = nodesFor(object, nodes);
    const all = text(object.spec["nodeSelector"]) === null && text(object.spec["node"]) === null;
    const far = farNodes(object, nodes, as);
    return {
      kind: all ? "global" : "node",
      near: new Set(near),
      peerings: peersOf(object, nodes, as),
      far: new Set(far),
      back: far.length === 0 ? [] : backPeerings(object, near),
    };
  });
});

/**
 * The peerings of one node. What is for all nodes comes first, and is not said again for one; where nodes are peers, the other end gets
 * the peering, too, unless it is asked not to (reversePeering). Of several with one address and port the first counts.
 */
export function peeringsOf(cluster: Cluster, own: BgpNode): { kind: "global" | "node"; peering: Peering }[] {
  const found = new Map<string, { kind: "global" | "node"; peering: Peering }>();
  const add = (kind: "global" | "node", list: readonly Peering[]): void => {
    for (const peering of list) {
      const key = `${peering.address} ${peering.port ?? ""}`;
      if (!found.has(key)) found.set(key, { kind, peering });
    }
  };
  const resolved = resolvedPeers(cluster);
  for (const each of resolved) if (each.kind === "global") add("global", each.peerings);
  for (const each of resolved) if (each.kind === "node" && each.near.has(own)) add("node", each.peerings);
  for (const each of resolved) if (each.far.has(own)) add("node", each.back);
  return [...found.values()];
}
