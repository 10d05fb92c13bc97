/** Calico's IPIP tunnel device, which the kernel brings and Felix sets up (felix/dataplane/linux/ipip_mgr.go). */
import type { Claim } from "../claim.ts";
import type { Machine } from "../site.ts";
import type { CalicoNode } from "./calico-node.ts";
import { address, link } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";

export const IPIP_DEVICE = "tunl0";

/** The device and its address; nothing when the node has none. */
export function ipipClaims(machine: Machine, own: CalicoNode, config: CalicoConfig): Claim[] {
  if (own.ipipAddress === null) return [];
  return [
    link(machine.place, { name: IPIP_DEVICE, type: "ipip", mtu: config.mtu.ipip, up: true, master: null }),
    address(machine.place, { dev: IPIP_DEVICE, address: `${own.ipipAddress}/32`, scope: "global" }),
  ];
}
