/** The node that claims are made for, and the others, as cilium-agent knows them. */
import { inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { Machine, Site } from "../site.ts";
import type { CiliumConfig } from "./config.ts";
import { ciliumNodes, type CiliumNode } from "./objects.ts";

export interface LocalNode {
  machine: Machine;
  node: CiliumNode;
  others: CiliumNode[];
  config: CiliumConfig;
  /** MTU of the devices, and of routes that lead through the tunnel or encryption. */
  deviceMtu: number;
  routeMtu: number;
}

/** What an outer packet adds (pkg/mtu/mtu.go): VXLAN or Geneve, IPsec, WireGuard. */
const TUNNEL_OVERHEAD = 50;
const IPSEC_OVERHEAD = 77;
const WIREGUARD_OVERHEAD = 80;
const ETHERNET_MTU = 1500;

const familyOf = (text: string): 4 | 6 => (text.includes(":") ? 6 : 4);

/** The node's address of a type and family; null when it has none. */
function addressOf(node: CiliumNode, type: string, family: 4 | 6): string | null {
  return node.addresses.find((each) => each.type === type && familyOf(each.ip) === family)?.ip ?? null;
}

/** Address of cilium_host, the pods' gateway: CiliumInternalIP. */
export function routerOf(node: CiliumNode, family: 4 | 6): string | null {
  return addressOf(node, "CiliumInternalIP", family);
}

/** Address by which other nodes reach it. */
export function nodeIpOf(node: CiliumNode, family: 4 | 6): string | null {
  return addressOf(node, "InternalIP", family) ?? addressOf(node, "ExternalIP", family);
}

/** Families that are switched on. */
export function familiesOf(config: CiliumConfig): (4 | 6)[] {
  return [...(config.ipv4 ? [4 as const] : []), ...(config.ipv6 ? [6 as const] : [])];
}

export const podCidrsOf = (node: CiliumNode, family: 4 | 6): string[] =>
  node.podCidrs.filter((cidr) => familyOf(cidr) === family);

/** Device of the machine in whose network an address is; null when it is reached through a router. */
export function deviceTowards(machine: Machine, address: string): string | null {
  const ip = parseIp(address);
  if (ip === null) return null;
  const device = machine.devices.find((each) =>
    each.addresses.some((text) => {
      const network = parsePrefix(text);
      return network !== null && inPrefix(ip, network);
    }),
  );
  return device?.name ?? null;
}

/** The node of a machine; null when Cilium knows none of that name. */
export function localNode(site: Site, machine: Machine, config: CiliumConfig): LocalNode | null {
  const nodes = ciliumNodes(site.cluster);
  const node = nodes.get(machine.name);
  if (node === undefined) return null;
  const own = nodeIpOf(node, 4) ?? nodeIpOf(node, 6);
  const uplink =
    own === null
      ? undefined
      : machine.devices.find((each) => each.addresses.some((text) => text.startsWith(`${own}/`)));
  const deviceMtu = config.mtu ?? uplink?.mtu ?? ETHERNET_MTU;
  const encryption = config.ipsec ? IPSEC_OVERHEAD : config.wireguard ? WIREGUARD_OVERHEAD : 0;
  return {
    machine,
    node,
    others: [...nodes.values()].filter((each) => each !== node),
    config,
    deviceMtu,
    routeMtu: deviceMtu - (config.tunnel === null ? 0 : TUNNEL_OVERHEAD) - encryption,
  };
}
