/**
 * Routes that BIRD writes: its own blocks, and what it learns of other nodes and of routers (node/filesystem/etc/calico/confd/templates).
 * A node tells its peers its blocks and the addresses that it borrowed; a route keeps the address of the node that told it first.
 */
import { compareIp, formatIp, formatPrefix, inPrefix, parseIp, type Ip } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { Machine, Site } from "../site.ts";
import { learnedFrom } from "./bgp-sessions.ts";
import type { CalicoNode } from "./calico-node.ts";
import { route } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";
import { felixWrites } from "./felix-routes.ts";
import { IPIP_DEVICE } from "./ipip.ts";
import { deviceOf, feet, nextHop } from "./next-hop.ts";
import { hostPrefix, ipamBlocks, poolOf, type IpPool } from "./pools.ts";

/** Of routes of nodes: local preference and metric make 2^31 - 1 together, and 1024 is what a node starts with. */
const NODE_METRIC = 1024;
/** Of routes of routers elsewhere, whose local preference is BGP's own 100. */
const OTHER_METRIC = 2 ** 31 - 1 - 100;

/** Whether BIRD writes the routes of a pool. */
function birdWrites(pool: IpPool | undefined, config: CalicoConfig): boolean {
  if (pool === undefined) return false;
  if (felixWrites(pool, config) || pool.carrier === "vxlan") return false;
  return pool.carrier === "ipip" ? config.bgp.routes.ipip : config.bgp.routes.plain;
}

interface Told {
  dst: string;
  family: 4 | 6;
  pool: IpPool;
  node: string;
}

/** Several ways in the order of their gateways (nest/rt-attr.c, nexthop_merge). */
function inOrder<Way extends { via: string }>(ways: readonly Way[]): Way[] {
  const key = (way: Way): Ip | null => parseIp(way.via);
  return ways.toSorted((x, y) => {
    const [a, b] = [key(x), key(y)];
    return a === null || b === null ? 0 : compareIp(a, b);
  });
}

/** What nodes tell. */
function told(site: Site, config: CalicoConfig): Told[] {
  const { blocks, borrowed } = ipamBlocks(site.cluster);
  const parts = [
    ...blocks.map(({ cidr, node }) => ({ prefix: cidr, dst: formatPrefix(cidr), node })),
    ...borrowed.map(({ ip, node }) => ({ prefix: { ip, len: ip.v === 4 ? 32 : 128 }, dst: hostPrefix(ip), node })),
  ];
  return parts.flatMap(({ prefix, dst, node }): Told[] => {
    const pool = poolOf(config.pools, prefix);
    return pool === undefined || !birdWrites(pool, config) ? [] : [{ dst, family: prefix.ip.v, pool, node }];
  });
}

/** The route to what another node told, by that node itself or by the routers between. */
function nodeRoute(
  site: Site,
  machine: Machine,
  own: CalicoNode,
  each: Told,
  targets: readonly Ip[],
  metric: number,
): Claim | null {
  const common = { family: each.family, dst: each.dst, metric, protocol: "bird" };
  const ways = targets.flatMap((target) => {
    const hop = nextHop(site, machine, target);
    const near = hop !== null && hop.via === formatIp(target);
    // Calico's own BIRD leads it into the tunnel (krt_tunnel).
    if (each.pool.carrier === "ipip" && !(each.pool.crossSubnet && near))
      return own.ipipAddress === null ? [] : [{ via: formatIp(target), dev: IPIP_DEVICE, onlink: true }];
    return hop === null ? [] : [hop];
  });
  return ways.length === 0 ? null : route(machine.place, { ...common, ways: inOrder(ways) });
}

/**
 * Subnets of routers that are peers: they may tell them, so they may be there. Several peers that tell the same are several ways
 * (`merge paths on`).
 */
function routerRoutes(site: Site, machine: Machine, own: CalicoNode, config: CalicoConfig): Claim[] {
  const ways = new Map<string, { family: 4 | 6; ways: { via: string; dev: string }[] }>();
  for (const peering of config.bgp.peerings) {
    const peer = parseIp(peering.address ?? "");
    if (peer === null || !peering.from(own)) continue;
    const router = site.machines.find((each) => deviceOf(each, peer) !== null);
    const hop = nextHop(site, machine, peer);
    if (router === undefined || hop === null || router.node !== null) continue;
    const mine = new Set(feet(machine, peer.v).map((foot) => formatPrefix(foot.subnet)));
    for (const { subnet } of feet(router, peer.v)) {
      const dst = formatPrefix(subnet);
      if (mine.has(dst)) continue;
      const list = ways.get(dst) ?? { family: peer.v, ways: [] };
      if (!list.ways.some((way) => way.via === hop.via)) list.ways.push(hop);
      ways.set(dst, list);
    }
  }
  return [...ways].map(([dst, each]): Claim => {
    const claim = route(machine.place, {
      family: each.family,
      dst,
      metric: OTHER_METRIC,
      protocol: "bird",
      ways: inOrder(each.ways),
    });
    return { ...claim, optional: true };
  });
}

/** All routes that BIRD writes on one machine; none when it does not run there. */
export function birdRoutes(
  site: Site,
  machine: Machine,
  own: CalicoNode,
  nodes: ReadonlyMap<string, CalicoNode>,
  config: CalicoConfig,
): Claim[] {
  if (!config.bgp.runs) return [];
  const sources = learnedFrom(own, nodes, config.bgp);
  const claims = told(site, config).flatMap((each): Claim[] => {
    if (each.node === own.name) {
      const isBlock = !each.dst.endsWith(each.family === 4 ? "/32" : "/128");
      const drop = { family: each.family, dst: each.dst, type: "blackhole", protocol: "bird", ways: [] };
      return isBlock ? [route(machine.place, drop)] : [];
    }
    const source = sources.get(each.node);
    const node = nodes.get(each.node);
    if (source === undefined || node === undefined || each.pool.hidden) return [];
    const direct = source.via.length === 0;
    const home = own.address[each.family];
    const away = node.address[each.family];
    // A router that shares a subnet with both names the node itself as the next hop (RFC 4271, section 5.1.3).
    const near = home !== null && away !== null && inPrefix(away.ip, home.subnet);
    const targets = (direct || near ? [away?.ip] : source.via).filter((ip) => ip?.v === each.family);
    const metric = source.external ? OTHER_METRIC : NODE_METRIC;
    const claim = nodeRoute(
      site,
      machine,
      own,
      each,
      targets.filter((ip) => ip !== undefined),
      metric,
    );
    // What a router between them does with routes is its own affair.
    return claim === null ? [] : [direct ? claim : { ...claim, optional: true }];
  });
  return [...claims, ...routerRoutes(site, machine, own, config)];
}
