/** Which addresses are pods', and which node they are behind. */
import { formatPrefix, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../model/address.ts";
import type { Source } from "../model/source.ts";
import { hasEnded, type PodEntry } from "../names/directory.ts";
import { ipamBlocks } from "../networks/calico/pools.ts";
import type { Chart } from "./chart.ts";

/** A stretch of pod addresses that one node has: its podCIDR, or a block that Calico's IPAM gave it. */
export interface PodNetwork {
  node: string;
  prefix: Prefix;
  kind: "podCIDR" | "block";
  /** Object that says so. */
  source: Source;
}

export interface PodNetworks {
  all: readonly PodNetwork[];
  byNode: ReadonlyMap<string, readonly PodNetwork[]>;
  /** Pods with addresses of their own, by address; those on the host's network are not among them. */
  pods: ReadonlyMap<number | string, PodEntry>;
}

function networksOf(chart: Chart): PodNetwork[] {
  const { cluster } = chart.snapshot;
  const { blocks } = ipamBlocks(cluster);
  if (blocks.length > 0)
    return blocks.flatMap(({ node, cidr }): PodNetwork[] => {
      const object = chart.dir.nodes.get(node);
      return object === undefined ? [] : [{ node, prefix: cidr, kind: "block", source: object.source }];
    });
  return cluster.nodes.flatMap((node) =>
    node.podCIDRs.flatMap((text): PodNetwork[] => {
      const prefix = parsePrefix(text);
      return prefix === null ? [] : [{ node: node.name, prefix, kind: "podCIDR", source: node.source }];
    }),
  );
}

const made = new WeakMap<Chart, PodNetworks>();

/** The pod networks of a cluster. Blocks of Calico's IPAM where there are any, because podCIDRs then mean nothing; else podCIDRs. */
export function podNetworks(chart: Chart): PodNetworks {
  let networks = made.get(chart);
  if (networks === undefined) {
    const all = networksOf(chart);
    const byNode = new Map<string, PodNetwork[]>();
    for (const each of all) {
      const list = byNode.get(each.node);
      if (list === undefined) byNode.set(each.node, [each]);
      else list.push(each);
    }
    const pods = new Map<number | string, PodEntry>();
    for (const pod of chart.dir.pods.values()) {
      if (hasEnded(pod) || pod.object?.hostNetwork === true) continue;
      for (const text of pod.ips) {
        const ip = parseIp(text);
        if (ip !== null && !pods.has(ip.key)) pods.set(ip.key, pod);
      }
    }
    networks = { all, byNode, pods };
    made.set(chart, networks);
  }
  return networks;
}

/** The node that an address of a pod is behind: where its pod runs, else whose network has it; null when it is nobody's. */
export function nodeBehind(chart: Chart, ip: Ip): string | null {
  const networks = podNetworks(chart);
  const pod = networks.pods.get(ip.key);
  if (pod?.node != null) return pod.node;
  return networks.all.find((each) => inPrefix(ip, each.prefix))?.node ?? null;
}

/** `10.244.1.0/24`. */
export const prefixText = (network: PodNetwork): string => formatPrefix(network.prefix);
