/** The routes that Calico's BIRD writes into a node's kernel, as claims. */
import { compareIp, parseIp } from "../../../model/address.ts";
import type { Claim } from "../../claim.ts";
import type { Machine, Site } from "../../site.ts";
import type { WayState } from "../../state.ts";
import type { CalicoNode } from "../calico-node.ts";
import { route } from "../claims.ts";
import { environment } from "../felix-parameters.ts";
import { IPIP_DEVICE } from "../ipip.ts";
import { bgpRoutes, type BgpRoute, type RouteHop } from "./routes.ts";

/** Whether calico-node starts BIRD there (node/pkg/lifecycle, CALICO_NETWORKING_BACKEND): unless it is told of another backend. */
function runs(machine: Machine): boolean {
  return ["bird", null].includes(environment(machine, "CALICO_NETWORKING_BACKEND"));
}

/** Ways in the order of their gateways (BIRD's nest/rt-attr.c, nexthop_merge); those to next hops that nothing leads to are left out. */
function waysOf(hops: readonly RouteHop[], hasTunnel: boolean): WayState[] {
  const ways = hops.flatMap(({ address, way, tunnel }): { via: string; dev: string; onlink?: boolean }[] => {
    // Calico's own BIRD leads it into the tunnel (krt_tunnel).
    if (tunnel) return hasTunnel ? [{ via: address, dev: IPIP_DEVICE, onlink: true }] : [];
    return way === null ? [] : [way];
  });
  return ways.toSorted((x, y) => {
    const [a, b] = [parseIp(x.via), parseIp(y.via)];
    return a === null || b === null ? 0 : compareIp(a, b);
  });
}

function claimOf(machine: Machine, own: CalicoNode, each: BgpRoute): Claim[] {
  const common = { family: each.family, dst: each.prefix, protocol: "bird" };
  if (each.type === "blackhole") return [route(machine.place, { ...common, type: "blackhole", ways: [] })];
  const ways = waysOf(each.hops, own.ipipAddress !== null);
  if (ways.length === 0) return [];
  const claim = route(machine.place, { ...common, metric: each.metric, ways });
  return [each.certain ? claim : { ...claim, optional: true }];
}

/** All of them for one machine; none when BIRD does not run there. Optional are those that routers beyond the cluster decide. */
export function birdClaims(site: Site, machine: Machine, own: CalicoNode): Claim[] {
  if (!runs(machine)) return [];
  return bgpRoutes(site, machine)
    .filter((each) => each.written)
    .flatMap((each) => claimOf(machine, own, each));
}
