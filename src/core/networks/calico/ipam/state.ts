/** What Calico's IPAM keeps: pools cut into blocks, blocks given to hosts, addresses given out of blocks. Never changed in place. */
import type { Prefix } from "../../../model/address.ts";
import type { Labels } from "./labels.ts";

/** What an address is for (IPPool allowedUses). */
export type Use = "Workload" | "Tunnel" | "HostSecondaryInterface" | "LoadBalancer";

export interface Pool {
  name: string;
  prefix: Prefix;
  /** Prefix length of its blocks, 26 and 122 unless said. */
  blockSize: number;
  /** Gives no addresses out any more: spec.disabled, being deleted, or found not allocatable. */
  disabled: boolean;
  /** Null takes every node. */
  nodeSelector: string | null;
  /** Null takes every namespace. */
  namespaceSelector: string | null;
  uses: readonly string[];
  /** Whether pods get its addresses without asking for it by name (assignmentMode). */
  automatic: boolean;
}

/** An address that was given out. */
export interface Allocation {
  /** Which address of its block, from 0. */
  ordinal: number;
  /** `k8s-pod-network.CONTAINER`, `vxlan-tunnel-addr-n1` …; null when none was recorded. */
  handle: string | null;
  /** namespace, pod, node, type, timestamp … */
  attributes: Readonly<Record<string, string>>;
}

/** Whom a block or an affinity belongs to: a node, or the virtual host of LoadBalancer addresses. */
export interface Owner {
  type: "host" | "virtual";
  host: string;
}

export interface Block {
  prefix: Prefix;
  /** Null: its host gave it up while addresses were in use. */
  owner: Owner | null;
  /** Seconds since 1970; null when not recorded. */
  claimed: number | null;
  /** By ordinal. */
  allocations: ReadonlyMap<number, Allocation>;
  /** Ordinals that are free, in the order in which they are given out: what was released comes last. */
  free: readonly number[];
}

export interface Affinity {
  /** Name of the BlockAffinity: hosts try their blocks in the order of these names. */
  name: string;
  owner: Owner;
  prefix: Prefix;
  state: string;
}

export interface Config {
  /** Whether hosts take addresses from their own blocks alone. */
  strict: boolean;
  autoAllocate: boolean;
  /** 0: not said, 20 then. */
  maxBlocksPerHost: number;
}

export interface IpamState {
  /** Every pool, by name. */
  pools: readonly Pool[];
  /** By prefix, `10.244.40.128/26`. */
  blocks: ReadonlyMap<string, Block>;
  /** By name. */
  affinities: readonly Affinity[];
  config: Config;
  /** Addresses that are given to nobody (IPReservation). */
  reserved: readonly Prefix[];
  /** Labels of the nodes by name. */
  nodes: ReadonlyMap<string, Labels>;
  /** Seconds since 1970; null when the time is not known: every block is then old enough to be reclaimed. */
  now: number | null;
}

/** Whether two owners are the same. */
export function sameOwner(x: Owner | null, y: Owner | null): boolean {
  return x !== null && y !== null && x.type === y.type && x.host === y.host;
}

/** `n1`, or `virtual:load-balancer`. */
export function ownerName(owner: Owner): string {
  return owner.type === "host" ? owner.host : `virtual:${owner.host}`;
}
