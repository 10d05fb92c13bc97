/** Routes to other nodes' blocks that Felix writes, and what keeps its own blocks from leaving (felix/dataplane/linux/route_mgr.go). */
import { formatPrefix, inPrefix, parsePrefix, type Prefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { Machine, Site } from "../site.ts";
import type { CalicoNode } from "./calico-node.ts";
import { route } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";
import { IPIP_DEVICE } from "./ipip.ts";
import { deviceOf } from "./next-hop.ts";
import { hostPrefix, ipamBlocks, poolOf, type IpPool } from "./pools.ts";
import { vxlanDevice } from "./vxlan.ts";

/** Whether Felix writes the routes of a pool. */
function felixWrites(pool: IpPool, config: CalicoConfig): boolean {
  switch (pool.carrier) {
    case "vxlan":
      return config.vxlan[pool.family];
    case "ipip":
      return config.ipip && config.routes.ipip;
    case "plain":
      return config.routes.plain;
  }
}

interface Remote {
  dst: Prefix;
  pool: IpPool;
  node: CalicoNode;
  /** The address of the other end of a tunnel, out of a third node's block. */
  isTunnelEnd: boolean;
}

const isTunnelEnd = (node: CalicoNode, text: string): boolean =>
  [node.vtep[4]?.address, node.vtep[6]?.address].includes(text.split("/", 1)[0] ?? "");

function remoteRoute(machine: Machine, own: CalicoNode, remote: Remote, config: CalicoConfig): Claim | null {
  const { pool, node } = remote;
  const family = pool.family;
  const dst = formatPrefix(remote.dst);
  const home = own.address[family];
  const away = node.address[family];
  // Without a tunnel to where the subnet leads, when the pool allows it, and always where there is none.
  const near = home !== null && away !== null && inPrefix(away.ip, home.subnet);
  const dev = home === null ? null : deviceOf(machine, home.ip);
  if (away !== null && near && dev !== null && (pool.crossSubnet || pool.carrier === "plain")) {
    const ways = [{ via: away.text, dev, onlink: true }];
    return route(machine.place, { family, dst, protocol: config.routeProtocol, ways });
  }
  if (pool.carrier === "vxlan") {
    const mtu = config.mtu.vxlan[family];
    const common = { family, dst, protocol: config.deviceProtocol, mtu };
    if (remote.isTunnelEnd) return route(machine.place, { ...common, ways: [{ via: null, dev: vxlanDevice(family) }] });
    const vtep = node.vtep[family];
    if (vtep === null || own.vtep[family] === null) return null;
    return route(machine.place, { ...common, ways: [{ via: vtep.address, dev: vxlanDevice(family), onlink: true }] });
  }
  if (pool.carrier === "ipip" && away !== null && own.ipipAddress !== null) {
    const ways = [{ via: away.text, dev: IPIP_DEVICE, onlink: true }];
    return route(machine.place, { family, dst, protocol: config.routeProtocol, mtu: config.mtu.ipip, ways });
  }
  return null;
}

/** All of these routes of one machine. */
export function felixRoutes(
  site: Site,
  machine: Machine,
  own: CalicoNode,
  nodes: ReadonlyMap<string, CalicoNode>,
  config: CalicoConfig,
): Claim[] {
  const { blocks, borrowed } = ipamBlocks(site.cluster);
  const parts = [
    ...blocks.map(({ cidr, node }) => ({ dst: cidr, node })),
    ...borrowed.flatMap(({ ip, node }) => {
      const dst = parsePrefix(hostPrefix(ip));
      return dst === null ? [] : [{ dst, node }];
    }),
  ];
  return parts.flatMap(({ dst, node: name }): Claim[] => {
    const pool = poolOf(config.pools, dst);
    const node = nodes.get(name);
    if (pool === undefined || node === undefined || !felixWrites(pool, config)) return [];
    if (!config.families.includes(pool.family)) return [];
    const whole = dst.len === (pool.family === 4 ? 32 : 128);
    if (node.name === own.name) {
      // Only blocks: a single address is a pod's, whose own route stands there.
      if (whole) return [];
      const drop = { family: pool.family, dst: formatPrefix(dst), type: "blackhole", ways: [] };
      return [route(machine.place, { ...drop, protocol: config.routeProtocol })];
    }
    const remote = { dst, pool, node, isTunnelEnd: whole && isTunnelEnd(node, formatPrefix(dst)) };
    const claim = remoteRoute(machine, own, remote, config);
    return claim === null ? [] : [claim];
  });
}
