/**
 * The node has no route to a pod that hangs on it by a veth pair: Felix and the ptp plugin write `podIP dev VETH` for each (felix,
 * dataplane/linux/endpoint_mgr.go). Without it packets for the pod go where the rest of its block goes, which is a blackhole.
 */
import { formatIp, type Ip } from "../../model/address.ts";
import { routeLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { routesTo } from "../peer-routes.ts";
import { isReversePath } from "../rule-owner.ts";
import { routedPods, type RoutedPod } from "../routed-pods.ts";

function missing(chart: Chart, { pod, host, veth, ns: podNs }: RoutedPod, ip: Ip): Suspicion | null {
  if (host.missing.has(ip.v === 4 ? "route4" : "route6")) return null;
  const ns = chart.world.byPlace.get(host.place);
  const flow = { dst: ip, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: null };
  const found = ns?.fib(ip.v).lookup(flow);
  if (found === undefined || found.unknown !== null) return null;
  const { route } = found;
  // Through a rule of someone's own, or to a device that the pod is behind in another way: not this fault.
  if (found.rule !== null && found.rule.table !== 254) return null;
  if (route?.nexthops.some((hop) => hop.dev === veth.name)) return null;
  const own = route !== null && route.dst.len === (ip.v === 4 ? 32 : 128);
  const text = formatIp(ip);
  const instead = route === null ? "nowhere" : routeLine(route);
  // What the pod itself sends is dropped as well where the way back is checked.
  const deaths = deathsOf(chart).filter((death) => {
    const taken = death.routes.findLast((each) => each.at === host.place && each.layer === 0);
    return (
      taken?.dst?.key === ip.key ||
      (death.at === host.place && death.path[0]?.at === podNs.place && isReversePath(death))
    );
  });
  return {
    id: "pod-route-missing",
    at: host.place,
    summary: own
      ? `The route of ${host.node} to ${text} (${pod.id}) leads to ${route.nexthops[0]?.dev ?? route.type}, and the pod is behind ${veth.name}`
      : `${host.node} has no route to ${text}, the address of its own pod ${pod.id}: what is for it goes ${route === null ? instead : `by "${instead}"`}`,
    evidence: [
      route === null
        ? chart.evidence({ file: `${host.dir}/route${ip.v}.json`, line: 1 }, `no route to ${text}`)
        : chart.evidence(route.source, instead),
      chart.evidence(veth.source, `${veth.name} is the other end of ${pod.id}`),
    ],
    remedy: [
      `# on ${host.node}; restart Felix (calico-node) there, which writes the route, or until then:`,
      `ip ${ip.v === 6 ? "-6 " : ""}route replace ${text} dev ${veth.name}${ip.v === 4 ? " scope link" : ""}`,
    ],
    hurts: hurtsOf(deaths),
    otherwise: "warning",
  };
}

/** How many of the pod's addresses the node has a route to by its veth. */
function owned(chart: Chart, { host, veth, ips }: RoutedPod): number {
  return ips.filter((ip) =>
    routesTo(chart, host.node, { ip, len: ip.v === 4 ? 32 : 128 }).some(
      (route) => route.nexthops[0]?.dev === veth.name,
    ),
  ).length;
}

/** Whether a program on the device takes packets out of the kernel's hands, which then needs no route (Cilium). */
const isProgrammed = ({ host, veth }: RoutedPod): boolean => veth.xdp || host.tc.some((each) => each.dev === veth.name);

function look(chart: Chart): Diagnosis {
  const pods = routedPods(chart).filter((each) => !isProgrammed(each));
  const without = pods.filter((each) => owned(chart, each) < each.ips.length);
  // Where no pod has a route of its own, this network brings packets to pods in another way.
  if (!pods.some((each) => owned(chart, each) > 0)) return { suspicions: [] };
  return { suspicions: without.flatMap((routed) => routed.ips.flatMap((ip) => missing(chart, routed, ip) ?? [])) };
}

export const podRouteMissing: Check = { ids: ["pod-route-missing"], depth: "machine", look };
