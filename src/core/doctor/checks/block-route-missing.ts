/**
 * A node has no route to another node's block of pod addresses, or one that leads astray: BIRD or Felix writes `BLOCK via NODE` on every
 * peer (calico/node confd templates; felix/dataplane/linux/route_mgr.go), flannel's host-gw backend does the same for podCIDRs.
 */
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis } from "../check.ts";
import { missingRoutes } from "../missing-routes.ts";
import { silentSpeakers } from "../bgp-speakers.ts";
import { routesMissing } from "./tunnel-down.ts";

function look(chart: Chart): Diagnosis {
  const silent = new Set(silentSpeakers(chart).map((host) => host.node));
  // What is missing because a node's BIRD says and hears nothing is that fault's.
  const routes = missingRoutes(chart).filter(
    ({ host, network, tunnelled }) =>
      (network.kind === "block" || !tunnelled) && !silent.has(host.node) && !silent.has(network.node),
  );
  return { suspicions: routesMissing(chart, "block-route-missing", routes) };
}

export const blockRouteMissing: Check = { ids: ["block-route-missing"], depth: "overlay", look };
