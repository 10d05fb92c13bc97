/** A node's BGP peers: the mesh, BGPPeers for all nodes and for some, and their reverse (confd client.go updatePeersV1, bgp_processor.go). */
import { formatIp, parseIp } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { takes } from "../ipam/labels.ts";
import { text, texts, whole } from "../ipam/raw.ts";
import { calicoObjects, type CalicoObject } from "../objects.ts";
import { oncePer } from "../once.ts";
import { durationSeconds, type BgpNode, type BgpSettings } from "./settings.ts";

export interface BirdPeer {
  /** Of the protocol in BIRD: `Mesh_172_30_0_12`. */
  name: string;
  kind: "mesh" | "global" | "node";
  address: string;
  port: number | null;
  as: number;
  /** The number that this end takes for the session, when not the node's. */
  localAs: number | null;
  /** Null: the kernel chooses it. */
  source: string | null;
  passive: boolean;
  /** Cluster id under which this end reflects routes to the peer; null when it does not. */
  reflects: string | null;
  nextHop: "default" | "self" | "keep";
  /** Names of BGPFilters, in order. */
  filters: string[];
  allowLocalAs: number;
  /** Hops within which the peer must be; null for any number. */
  ttl: number | null;
  /** Seconds. */
  restart: number | null;
  keepalive: number | null;
  /** Secret that holds the password, `name/key`; null for none. */
  password: string | null;
  /** Gateway of a static route to the peer. */
  reachableBy: string | null;
  /** `mesh`, or `BGPPeer NAME`. */
  from: string;
}

/** A peering before it is one node's (bgpPeer in client.go). */
interface Peering extends Pick<BirdPeer, "address" | "port" | "as" | "from"> {
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

const isGlobal = ({ spec }: CalicoObject): boolean =>
  text(spec["nodeSelector"]) === null && text(spec["node"]) === null;

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

/**
 * Peerings of one node with those of all nodes, by `ADDRESS PORT`. What is for all nodes comes first, and is not said again for one;
 * where nodes are peers, the other end gets the peering, too, unless it is asked not to (reversePeering).
 */
function peerings(
  objects: readonly CalicoObject[],
  own: BgpNode,
  nodes: readonly BgpNode[],
  common: number,
): Map<string, { kind: "global" | "node"; peering: Peering }> {
  const found = new Map<string, { kind: "global" | "node"; peering: Peering }>();
  const add = (kind: "global" | "node", peering: Peering): void => {
    const key = `${peering.address} ${peering.port ?? ""}`;
    if (!found.has(key)) found.set(key, { kind, peering });
  };
  for (const object of objects.filter(isGlobal))
    for (const peering of peersOf(object, nodes, common)) add("global", peering);
  for (const object of objects) {
    if (isGlobal(object) || !nodesFor(object, nodes).includes(own)) continue;
    for (const peering of peersOf(object, nodes, common)) add("node", peering);
  }
  for (const object of objects) {
    const { spec, name } = object;
    if (text(spec["reversePeering"]) === "Manual") continue;
    const selector = text(spec["peerSelector"]);
    const given = selector === null ? addressAndPort(text(spec["peerIP"])) : null;
    const far =
      selector !== null
        ? nodes.filter((node) => takes(selector, node.labels))
        : given === null
          ? []
          : nodesAt(nodes, given.address, whole(spec["asNumber"]) || common, given.port);
    if (!far.includes(own)) continue;
    const families = given === null ? BOTH : ([given.address.includes(":") ? 6 : 4] as const);
    for (const node of nodesFor(object, nodes))
      for (const peering of asPeers(node, `BGPPeer ${name}`, spec, families)) add("node", peering);
  }
  return found;
}

const named = (kind: string, address: string, port: number | null): string =>
  `${kind}_${address.replaceAll(/[.:]/g, "_")}${port === null ? "" : `_port_${port}`}`;

/** Whether a node is in the mesh: where there is one, and it is no route reflector. */
export function inMesh(node: BgpNode, settings: BgpSettings): boolean {
  return settings.mesh && node.cluster === null;
}

/** Another node of the mesh as a peer. The end with the lower address (as text) connects, the other waits. */
function meshPeer(node: BgpNode, other: string, address: string, settings: BgpSettings): BirdPeer {
  return {
    name: named("Mesh", other, null),
    kind: "mesh",
    address: other,
    port: node.port,
    as: node.as,
    localAs: null,
    source: address,
    passive: other > address,
    reflects: null,
    nextHop: "default",
    filters: [],
    allowLocalAs: 0,
    ttl: null,
    restart: settings.meshRestart,
    keepalive: null,
    password: null,
    reachableBy: null,
    from: "mesh",
  };
}

function birdPeer(own: BgpNode, address: string, kind: "global" | "node", peering: Peering): BirdPeer {
  const { spec, as, cluster } = peering;
  const localAs = whole(spec["localASNumber"]) || null;
  const internal = as === (localAs ?? own.as);
  const mode = text(spec["nextHopMode"]);
  const keep = mode === "Keep" || (spec["keepOriginalNextHop"] === true && !internal);
  return {
    name: named(kind === "global" ? "Global" : "Node", peering.address, peering.port),
    kind,
    address: peering.address,
    port: peering.port,
    as,
    localAs,
    source: (text(spec["sourceAddress"]) ?? "UseNodeIP") === "UseNodeIP" ? address : null,
    // Of two nodes that have each other as global peers, one waits, so that a restart does not meet a second connection.
    passive: kind === "global" && peering.namedNode && peering.address > address,
    reflects: internal && own.cluster !== null && cluster !== own.cluster ? own.cluster : null,
    nextHop: keep ? "keep" : mode === "Self" ? "self" : "default",
    filters: texts(spec["filters"]),
    allowLocalAs: whole(spec["numAllowedLocalASNumbers"]) ?? 0,
    ttl: whole(spec["ttlSecurity"]) || null,
    restart: durationSeconds(spec["maxRestartTime"]),
    keepalive: durationSeconds(spec["keepaliveTime"]),
    password: secretOf(spec),
    reachableBy: text(spec["reachableBy"]),
    from: peering.from,
  };
}

function secretOf(spec: CalicoObject["spec"]): string | null {
  const ref = (spec["password"] as { secretKeyRef?: { name?: string; key?: string } } | undefined)?.secretKeyRef;
  return ref === undefined ? null : `${ref.name ?? ""}/${ref.key ?? ""}`;
}

const peerObjects = oncePer((cluster: Cluster) =>
  calicoObjects(cluster, "bgppeers").filter(({ spec }) => text(spec["localWorkloadSelector"]) === null),
);

/** The node's peers by BGPPeers, of a family, by the names that BIRD has for them; none when it has no address of the family. */
export function explicitPeers(
  cluster: Cluster,
  own: BgpNode,
  nodes: readonly BgpNode[],
  settings: BgpSettings,
  family: 4 | 6,
): BirdPeer[] {
  const address = own.address[family];
  if (address === null || peerObjects(cluster).length === 0) return [];
  return [...peerings(peerObjects(cluster), own, nodes, settings.as).values()]
    .filter(({ peering }) => peering.address !== address && peering.address.includes(":") === (family === 6))
    .map(({ kind, peering }) => birdPeer(own, address, kind, peering))
    .toSorted(byName);
}

const byName = (x: BirdPeer, y: BirdPeer): number => (x.name < y.name ? -1 : x.name > y.name ? 1 : 0);

/** All of the node's peers of a family: `explicit`, and those of the mesh, by name. */
export function withMesh(
  explicit: readonly BirdPeer[],
  own: BgpNode,
  nodes: readonly BgpNode[],
  settings: BgpSettings,
  family: 4 | 6,
): BirdPeer[] {
  return [...nodes.flatMap((node) => meshPeerOf(own, node, settings, family) ?? []), ...explicit].toSorted(byName);
}

/** Another node as a peer in the mesh; null when there is none, or one of them is not in it. */
export function meshPeerOf(own: BgpNode, node: BgpNode, settings: BgpSettings, family: 4 | 6): BirdPeer | null {
  const [address, other] = [own.address[family], node.address[family]];
  if (address === null || other === null || other === address) return null;
  return inMesh(own, settings) && inMesh(node, settings) ? meshPeer(node, other, address, settings) : null;
}
