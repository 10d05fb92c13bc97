/** All that BIRD's configuration of one node is made of. */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { formatPrefix, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { width } from "../ipam/range.ts";
import { text } from "../../raw.ts";
import { calicoObjects } from "../objects.ts";
import { oncePer } from "../../once.ts";
import { ipamBlocks, ipPools, type IpPool } from "../pools.ts";
import { bgpFilters, type BgpFilter } from "./bgp-filter.ts";
import { explicitPeers, meshPeerOf, withMesh, type BirdPeer } from "./peers.ts";
import { serviceRoutes, type ServiceRoutes } from "./service-routes.ts";
import { bgpNodes, settingsOf, type BgpNode, type BgpSettings } from "./settings.ts";

/** A block that is the node's, and the state of its affinity. */
export interface OwnBlock {
  prefix: Prefix;
  state: string;
}

/** All that the configuration of one node and family is made of. */
export interface BirdInput {
  family: 4 | 6;
  node: BgpNode;
  nodes: readonly BgpNode[];
  settings: BgpSettings;
  /** Peers by BGPPeers. */
  explicit: readonly BirdPeer[];
  /** All peers, by name. In a large mesh they are many, so they are made when asked for. */
  peers(): readonly BirdPeer[];
  /** The peer at an address; null when there is none. */
  peerAt(address: string): BirdPeer | null;
  blocks: readonly OwnBlock[];
  /** Addresses of others' blocks that the node uses. */
  borrowed: readonly Prefix[];
  pools: readonly IpPool[];
  services: ServiceRoutes;
  filters: ReadonlyMap<string, BgpFilter>;
  routerId: string;
}

/** Blocks of each node, by the names of their keys. Affinities that are pending count as none. */
const blocksByNode = oncePer((cluster: Cluster) => {
  const key = ({ prefix }: OwnBlock): string => formatPrefix(prefix).replace("/", "-");
  const out = new Map<string, OwnBlock[]>();
  for (const { spec } of calicoObjects(cluster, "blockaffinities")) {
    const prefix = parsePrefix(text(spec["cidr"]) ?? "");
    const node = (text(spec["type"]) ?? "host") === "host" ? text(spec["node"]) : null;
    const state = text(spec["state"]) ?? "";
    if (
      prefix === null ||
      node === null ||
      spec["deleted"] === true ||
      spec["deleted"] === "true" ||
      state === "pending"
    )
      continue;
    const list = out.get(node);
    if (list === undefined) out.set(node, [{ prefix, state }]);
    else list.push({ prefix, state });
  }
  for (const list of out.values()) list.sort((x, y) => (key(x) < key(y) ? -1 : 1));
  return out;
});

const borrowedByNode = oncePer((cluster: Cluster) => {
  const out = new Map<string, Prefix[]>();
  for (const { ip, node } of ipamBlocks(cluster).borrowed) {
    const list = out.get(node);
    if (list === undefined) out.set(node, [{ ip, len: width(ip.v) }]);
    else list.push({ ip, len: width(ip.v) });
  }
  return out;
});

const nodesByName = oncePer((cluster: Cluster) => new Map(bgpNodes(cluster).map((node) => [node.name, node])));

/** The nodes of the cluster by their addresses. */
export const nodesByAddress = oncePer((cluster: Cluster) => {
  const out = new Map<string, BgpNode>();
  for (const node of bgpNodes(cluster))
    for (const address of [node.address[4], node.address[6]]) if (address !== null) out.set(address, node);
  return out;
});

/** The id: the address of IPv4, or what was set; `hash` makes one of the node's name (CALICO_ROUTER_ID). */
function routerIdOf(node: BgpNode, given: string | null): string {
  if (given === "hash") return sha256(utf8ToBytes(node.name)).slice(0, 4).join(".");
  return given ?? node.address[4] ?? "";
}

/** What the cluster's objects say of BIRD on a node; null when Calico has not noted the node's addresses. `routerId`: CALICO_ROUTER_ID. */
export function birdInput(
  cluster: Cluster,
  name: string,
  family: 4 | 6,
  routerId: string | null = null,
): BirdInput | null {
  const node = nodesByName(cluster).get(name);
  if (node === undefined) return null;
  const nodes = bgpNodes(cluster);
  const settings = settingsOf(cluster, name);
  const explicit = explicitPeers(cluster, node, family);
  const byAddress = new Map(explicit.map((peer) => [peer.address, peer]));
  return {
    family,
    node,
    nodes,
    settings,
    explicit,
    peers: () => withMesh(explicit, node, nodes, settings, family),
    peerAt(address) {
      const other = nodesByAddress(cluster).get(address);
      const mesh = other === undefined ? null : meshPeerOf(node, other, settings, family);
      return mesh ?? byAddress.get(address) ?? null;
    },
    blocks: (blocksByNode(cluster).get(name) ?? []).filter(({ prefix }) => prefix.ip.v === family),
    borrowed: (borrowedByNode(cluster).get(name) ?? []).filter(({ ip }) => ip.v === family),
    pools: ipPools(cluster),
    services: serviceRoutes(cluster, node, settings),
    filters: bgpFilters(cluster),
    routerId: routerIdOf(node, routerId),
  };
}

/** What is known of BIRD on every node, made when it is asked for. */
export const birdInputs = oncePer((cluster: Cluster) => {
  const known = new Map<string, BirdInput | null>();
  return (name: string, family: 4 | 6): BirdInput | null => {
    const key = `${family} ${name}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const input = birdInput(cluster, name, family);
    known.set(key, input);
    return input;
  };
});

/** The ranges of a family. */
export function ofFamily(cidrs: readonly string[], family: 4 | 6): string[] {
  return cidrs.filter((cidr) => cidr.includes(":") === (family === 6));
}
