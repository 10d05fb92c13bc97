/** Calico's VXLAN tunnel: its device, its neighbours, and the routes through it (felix/dataplane/linux/vxlan_mgr.go, vxlanfdb). */
import type { Claim } from "../claim.ts";
import type { Machine } from "../site.ts";
import type { CalicoNode } from "./calico-node.ts";
import { address, fdb, link, neighbour } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";
import { deviceOf } from "./next-hop.ts";

/** Name of the tunnel's device. */
export function vxlanDevice(family: 4 | 6): string {
  return family === 4 ? "vxlan.calico" : "vxlan-v6.calico";
}

/** The device and the entries by which it finds its other ends, for one family; nothing when the node has no end of the tunnel. */
export function vxlanClaims(
  machine: Machine,
  own: CalicoNode,
  nodes: ReadonlyMap<string, CalicoNode>,
  family: 4 | 6,
  config: CalicoConfig,
): Claim[] {
  const at = machine.place;
  const vtep = own.vtep[family];
  const home = own.address[family];
  if (vtep === null || home === null) return [];
  const dev = vxlanDevice(family);
  const others = [...nodes.values()]
    .filter((node) => node.name !== own.name)
    .map((node) => node.vtep[family])
    .filter((each) => each !== null);
  const parent = deviceOf(machine, home.ip);
  return [
    link(at, {
      name: dev,
      type: "vxlan",
      mtu: config.mtu.vxlan[family],
      mac: vtep.mac,
      up: true,
      master: null,
      attributes: {
        id: config.vxlanVni,
        local: home.text,
        port: config.vxlanPort,
        learning: false,
        ...(parent === null ? {} : { dev: parent }),
      },
    }),
    address(at, { dev, address: `${vtep.address}/${family === 4 ? 32 : 128}`, scope: "global" }),
    ...others.flatMap((other) => [
      neighbour(at, { dev, ip: other.address, mac: other.mac, state: "PERMANENT" }),
      fdb(at, { dev, mac: other.mac, dst: other.node, master: null, state: "permanent" }),
    ]),
  ];
}
