/** A node's BGP peers as BIRD has them: the mesh, and what BGPPeers ask for (confd's bgp_processor.go). */
import type { Cluster } from "../../../model/cluster.ts";
import { wholeSeconds } from "../../go-duration.ts";
import { text, texts, whole } from "../../raw.ts";
import type { CalicoObject } from "../objects.ts";
import { peeringsOf, type Peering } from "./peerings.ts";
import type { BgpNode, BgpSettings } from "./settings.ts";

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

const named = (kind: string, address: string, port: number | null): string =>
  `${kind}_${address.replaceAll(/[.:]/g, "_")}${port === null ? "" : `_port_${port}`}`;

/** Whether a node is in the mesh: where there is one, and it is no route reflector. */
function inMesh(node: BgpNode, settings: BgpSettings): boolean {
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
    restart: wholeSeconds(spec["maxRestartTime"]),
    keepalive: wholeSeconds(spec["keepaliveTime"]),
    password: secretOf(spec),
    reachableBy: text(spec["reachableBy"]),
    from: peering.from,
  };
}

function secretOf(spec: CalicoObject["spec"]): string | null {
  const ref = (spec["password"] as { secretKeyRef?: { name?: string; key?: string } } | undefined)?.secretKeyRef;
  return ref === undefined ? null : `${ref.name ?? ""}/${ref.key ?? ""}`;
}

/** The node's peers by BGPPeers, of a family, by the names that BIRD has for them; none when it has no address of the family. */
export function explicitPeers(cluster: Cluster, own: BgpNode, family: 4 | 6): BirdPeer[] {
  const address = own.address[family];
  if (address === null) return [];
  return peeringsOf(cluster, own)
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
