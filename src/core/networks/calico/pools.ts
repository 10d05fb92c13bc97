/** IP pools and the blocks of addresses that nodes took of them. */
import { formatIp, formatPrefix, inPrefix, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import { nth } from "./ipam/range.ts";
import { text, texts } from "../raw.ts";
import { recordedBlocks } from "./ipam/read.ts";
import { calicoObjects } from "./objects.ts";
import { oncePer } from "../once.ts";

export interface IpPool {
  name: string;
  cidr: Prefix;
  family: 4 | 6;
  /** How packets to other nodes are carried. */
  carrier: "vxlan" | "ipip" | "plain";
  /** Whether they go without a tunnel to nodes in the same subnet. */
  crossSubnet: boolean;
  natOutgoing: boolean;
  /** Not told to BGP peers. */
  hidden: boolean;
  allowedUses: string[];
}

/** The cluster's pools, disabled ones too: they still say which addresses are Calico's. */
export const ipPools = oncePer((cluster: Cluster): readonly IpPool[] =>
  calicoObjects(cluster, "ippools").flatMap(({ name, spec }): IpPool[] => {
    const cidr = parsePrefix(text(spec["cidr"]) ?? "");
    if (cidr === null) return [];
    const vxlan = text(spec["vxlanMode"]) ?? "Never";
    const ipip = text(spec["ipipMode"]) ?? "Never";
    return [
      {
        name,
        cidr,
        family: cidr.ip.v,
        carrier: vxlan !== "Never" ? "vxlan" : ipip !== "Never" ? "ipip" : "plain",
        crossSubnet: vxlan === "CrossSubnet" || ipip === "CrossSubnet",
        natOutgoing: spec["natOutgoing"] === true,
        hidden: spec["disableBGPExport"] === true,
        allowedUses: texts(spec["allowedUses"]),
      },
    ];
  }),
);

/** The pool that a prefix lies in, the narrowest of several; undefined for none. */
export function poolOf(pools: readonly IpPool[], prefix: Prefix): IpPool | undefined {
  return pools
    .filter((pool) => pool.cidr.len <= prefix.len && inPrefix(prefix.ip, pool.cidr))
    .toSorted((x, y) => y.cidr.len - x.cidr.len)[0];
}

/** A part of a pool that is one node's. */
export interface Block {
  cidr: Prefix;
  node: string;
}

/** An address of a block that is used on a node which the block is not of. */
export interface Borrowed {
  ip: Ip;
  node: string;
}

/** Blocks and addresses on loan, of the IPAM blocks themselves (felix/calc/l3_route_resolver.go, routesFromBlock). */
export const ipamBlocks = oncePer((cluster: Cluster): { blocks: Block[]; borrowed: Borrowed[] } => {
  const blocks: Block[] = [];
  const borrowed: Borrowed[] = [];
  for (const { prefix, owner, allocations } of recordedBlocks(cluster)) {
    const host = owner?.type === "host" ? owner.host : null;
    if (host !== null) blocks.push({ cidr: prefix, node: host });
    for (const { ordinal, attributes } of allocations.values()) {
      const user = attributes["node"];
      if (user !== undefined && user !== host) borrowed.push({ ip: nth(prefix, ordinal), node: user });
    }
  }
  const key = (block: Block): string => formatPrefix(block.cidr);
  return { blocks: blocks.toSorted((x, y) => (key(x) < key(y) ? -1 : 1)), borrowed };
});

/** `10.0.0.1/32`. */
export function hostPrefix(ip: Ip): string {
  return `${formatIp(ip)}/${ip.v === 4 ? 32 : 128}`;
}
