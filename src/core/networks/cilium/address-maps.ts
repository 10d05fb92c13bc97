/** Cilium's maps of addresses: who has an identity and behind which node (ipcache), and the node's own endpoints. */
import type { Machine, Site } from "../site.ts";
import { ciliumConfig } from "./config.ts";
import { nodeIpOf, podCidrsOf } from "./local-node.ts";
import { ciliumEndpoints, ciliumNodes } from "./objects.ts";

/** An entry of cilium_ipcache. */
export interface IpcacheEntry {
  /** `10.0.1.7/32`. */
  prefix: string;
  identity: number;
  /** Node that the packet is sent to in a tunnel; null for none. */
  tunnel: string | null;
}

/** Reserved identities (pkg/identity/numericidentity.go); 2 is every address that nobody knows. */
const HOST = 1;
const WORLD = 2;
const HEALTH = 4;
const REMOTE_NODE = 6;

const host = (ip: string): string => `${ip}/${ip.includes(":") ? 128 : 32}`;

/**
 * What a machine's ipcache should hold for pods, nodes and their health endpoints; null when Cilium does not run there. Prefixes of
 * policies have numbers of each node's own and are left out, and nodes that run the API server have identity 7 where that is known.
 */
export function ipcacheMap(site: Site, machine: Machine): IpcacheEntry[] | null {
  const config = ciliumConfig(site, machine);
  if (config === null) return null;
  const nodes = ciliumNodes(site.cluster);
  const entries: IpcacheEntry[] = [];
  const byIp = new Map(
    [...nodes.values()].flatMap((node) => node.addresses.map((each) => [each.ip, node.name] as const)),
  );
  const behind = (name: string | undefined): string | null => {
    const node = name === undefined || name === machine.name ? undefined : nodes.get(name);
    // Peers are reached over IPv4 when the nodes have it, whatever is within.
    return config.tunnel === null || node === undefined ? null : (nodeIpOf(node, 4) ?? nodeIpOf(node, 6));
  };
  for (const node of nodes.values()) {
    const self = node.name === machine.name;
    for (const { type, ip } of node.addresses)
      entries.push({
        prefix: host(ip),
        identity: self ? HOST : REMOTE_NODE,
        // Only the address within the pods' network is behind the tunnel.
        tunnel: type === "CiliumInternalIP" ? behind(node.name) : null,
      });
    for (const ip of node.health) entries.push({ prefix: host(ip), identity: HEALTH, tunnel: behind(node.name) });
    // Pods of another node whose identity is not known as yet are sent there all the same.
    if (!self && config.tunnel !== null)
      for (const family of [4, 6] as const)
        for (const prefix of podCidrsOf(node, family))
          entries.push({ prefix, identity: WORLD, tunnel: behind(node.name) });
  }
  for (const endpoint of ciliumEndpoints(site.cluster).values())
    for (const ip of endpoint.ips)
      if (endpoint.identity !== null)
        entries.push({ prefix: host(ip), identity: endpoint.identity, tunnel: behind(byIp.get(endpoint.node ?? "")) });
  return entries;
}

/** An entry of cilium_lxc: a pod of this node. */
export interface EndpointEntry {
  ip: string;
  /** Null for the host's own addresses. */
  id: number | null;
  /** Index of the pod's device on the host. */
  ifindex: number | null;
  mac: string | null;
  /** MAC address of the host's side. */
  nodeMac: string | null;
}

/** The pods of a machine as its endpoint map should hold them, and the host's addresses; null when Cilium does not run there. */
export function endpointMap(site: Site, machine: Machine): EndpointEntry[] | null {
  if (ciliumConfig(site, machine) === null) return null;
  const node = ciliumNodes(site.cluster).get(machine.name);
  const endpoints = ciliumEndpoints(site.cluster);
  return [
    ...machine.sandboxes.flatMap((sandbox) => {
      const endpoint = endpoints.get(`${sandbox.pod.namespace}/${sandbox.pod.name}`);
      return (endpoint?.ips ?? []).map((ip) => ({
        ip,
        id: endpoint?.id ?? null,
        ifindex: sandbox.hostDevice?.index ?? null,
        mac: sandbox.device?.mac ?? null,
        nodeMac: sandbox.hostDevice?.mac ?? null,
      }));
    }),
    ...(node?.addresses ?? []).map((each) => ({ ip: each.ip, id: null, ifindex: null, mac: null, nodeMac: null })),
  ];
}
