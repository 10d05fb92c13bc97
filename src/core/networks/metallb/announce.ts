/**
 * Who announces the addresses of LoadBalancer Services: one node each on layer 2, and every fit node by BGP (speaker/layer2_controller.go,
 * bgp_controller.go). On layer 2 nothing of it is in the kernel: the speaker itself answers ARP and neighbour solicitations.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { formatIp, formatPrefix, parseIp, prefixOf } from "../../model/address.ts";
import type { Cluster, Endpoint, Node, Service } from "../../model/cluster.ts";
import { list, object, text } from "../raw.ts";
import {
  addressPools,
  bgpAdvertisements,
  bgpPeers,
  l2Advertisements,
  poolOf,
  type AddressPool,
  type BgpAdvertisement,
} from "./objects.ts";

const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

export interface L2Announcement {
  service: { namespace: string; name: string };
  address: string;
  pool: string;
  /** The node that answers; null for none. */
  node: string | null;
  /** The others, in the order in which they would take over. */
  standby: string[];
  /** Devices that answer; empty for all of the node. */
  interfaces: string[];
  /** Why nobody does; null when somebody does. */
  because: string | null;
}

export interface BgpAnnouncement {
  service: { namespace: string; name: string };
  address: string;
  pool: string;
  node: string;
  /** What is told: the address, or what it is aggregated to. */
  prefix: string;
  localPref: number;
  communities: string[];
  /** Names of the BGPPeers that hear it. */
  peers: string[];
}

/** Nodes without a network, as their Node objects say. */
function unavailable(cluster: Cluster): Set<string> {
  const bad = (item: unknown): boolean =>
    list(object(object(item)["status"])["conditions"])
      .map(object)
      .some((each) => each["type"] === "NetworkUnavailable" && each["status"] === "True");
  const names = (cluster.raw.get("nodes") ?? [])
    .filter(bad)
    .map((item) => text(object(object(item)["metadata"])["name"]));
  return new Set(names.filter((name) => name !== null));
}

/** Nodes that may announce: a speaker runs there, or no speaker was recorded; not excluded, and with a network. */
export function speakerNodes(cluster: Cluster): Node[] {
  const speakers = cluster.pods.filter(({ labels }) => {
    const component = labels["app.kubernetes.io/component"] ?? labels["component"];
    const app = labels["app.kubernetes.io/name"] ?? labels["app"];
    return component === "speaker" && app === "metallb";
  });
  const on = new Set(speakers.filter((pod) => pod.ready).map((pod) => pod.node));
  const lost = unavailable(cluster);
  return cluster.nodes.filter(
    ({ name, labels }) =>
      (speakers.length === 0 || on.has(name)) && !Object.hasOwn(labels, EXCLUDED) && !lost.has(name),
  );
}

const serves = (endpoint: Endpoint): boolean => endpoint.ready || endpoint.serving;

function endpointsOf(cluster: Cluster, service: Service): Endpoint[] {
  return cluster.endpointSlices
    .filter((slice) => slice.namespace === service.namespace && slice.service === service.name)
    .flatMap((slice) => slice.endpoints)
    .filter(serves);
}

/** Services that MetalLB gave addresses, each with the pool of the first. */
function balanced(
  cluster: Cluster,
  pools: readonly AddressPool[],
): { service: Service; addresses: string[]; pool: AddressPool }[] {
  return cluster.services.flatMap((service) => {
    if (service.type !== "LoadBalancer") return [];
    const addresses = service.loadBalancerIPs
      .map(parseIp)
      .filter((ip) => ip !== null)
      .map(formatIp);
    const pool = addresses[0] === undefined ? null : poolOf(pools, addresses[0]);
    return pool === null ? [] : [{ service, addresses, pool }];
  });
}

/** The order in which nodes take an address: by the SHA-256 of `NODE#ADDRESS`, compared byte by byte. */
export function electionOrder(nodes: readonly string[], address: string): string[] {
  const keyed = nodes.map((node) => ({ node, hash: sha256(utf8ToBytes(`${node}#${address}`)) }));
  const order = (x: Uint8Array, y: Uint8Array): number => {
    const at = x.findIndex((byte, i) => byte !== y[i]);
    return at < 0 ? 0 : x[at]! - y[at]!;
  };
  return keyed.toSorted((x, y) => order(x.hash, y.hash)).map(({ node }) => node);
}

/** Who answers for which address on layer 2. All addresses of a Service are its first one's winner's. */
export function l2Announcements(cluster: Cluster): L2Announcement[] {
  const pools = addressPools(cluster);
  const speakers = speakerNodes(cluster);
  const advertisements = l2Advertisements(cluster);
  return balanced(cluster, pools).flatMap(({ service, addresses, pool }) => {
    const mine = advertisements.filter((each) => each.pool(pool));
    if (mine.length === 0) return [];
    const endpoints = endpointsOf(cluster, service);
    const local = new Set(endpoints.map(({ node }) => node));
    const able = speakers.filter(({ labels }) => mine.some((each) => each.node(labels)));
    const fit = service.externalTrafficPolicy === "Local" ? able.filter(({ name }) => local.has(name)) : able;
    const names = endpoints.length === 0 ? [] : fit.map(({ name }) => name);
    const [node = null, ...standby] = electionOrder(names, addresses[0]!);
    const labels = speakers.find(({ name }) => name === node)?.labels ?? {};
    const here = mine.filter((each) => each.node(labels));
    const interfaces = here.some((each) => each.interfaces.length === 0) ? [] : here.flatMap((each) => each.interfaces);
    const because =
      node !== null
        ? null
        : endpoints.length === 0
          ? "no endpoint can serve"
          : able.length === 0
            ? "no node with a speaker is selected"
            : "no selected node has an endpoint that can serve, and externalTrafficPolicy is Local";
    return addresses.map((address) => ({
      service: { namespace: service.namespace, name: service.name },
      address,
      pool: pool.name,
      node,
      standby,
      interfaces: [...new Set(interfaces)].toSorted(),
      because,
    }));
  });
}

/** Whether a node may tell of the Service: with externalTrafficPolicy Local it needs an endpoint that is wholly ready. */
function announces(cluster: Cluster, service: Service, node: string): boolean {
  const ready = new Map<string, boolean>();
  for (const slice of cluster.endpointSlices) {
    if (slice.namespace !== service.namespace || slice.service !== service.name) continue;
    for (const endpoint of slice.endpoints) {
      if (service.externalTrafficPolicy === "Local" && endpoint.node !== node) continue;
      for (const address of endpoint.addresses) ready.set(address, serves(endpoint) && ready.get(address) !== false);
    }
  }
  return [...ready.values()].includes(true);
}

function announcementOf(address: string, advertisement: BgpAdvertisement): string | null {
  const ip = parseIp(address);
  return ip === null ? null : formatPrefix(prefixOf(ip, advertisement.aggregation[ip.v]));
}

/** What every node tells its BGP peers. */
export function bgpAnnouncements(cluster: Cluster): BgpAnnouncement[] {
  const pools = addressPools(cluster);
  const advertisements = bgpAdvertisements(cluster);
  const peers = bgpPeers(cluster);
  return speakerNodes(cluster).flatMap((node) => {
    const sessions = peers.filter((peer) => peer.node(node.labels));
    return balanced(cluster, pools).flatMap(({ service, addresses, pool }) => {
      if (!announces(cluster, service, node.name)) return [];
      const mine = advertisements.filter((each) => each.pool(pool) && each.node(node.labels));
      return addresses.flatMap((address) =>
        mine.flatMap((each): BgpAnnouncement[] => {
          const prefix = announcementOf(address, each);
          const heard = sessions.filter(({ name }) => each.peers.length === 0 || each.peers.includes(name));
          if (prefix === null || heard.length === 0) return [];
          const { namespace, name } = service;
          const { localPref, communities } = each;
          return [
            {
              service: { namespace, name },
              address,
              pool: pool.name,
              node: node.name,
              prefix,
              localPref,
              communities,
              peers: heard.map((peer) => peer.name),
            },
          ];
        }),
      );
    });
  });
}
