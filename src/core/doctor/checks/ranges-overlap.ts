/**
 * Ranges that must be apart and are not: of pods, of Services, of nodes, of networks beyond. The longest prefix wins (RFC 1812 5.2.4.3),
 * so somebody's packets go to the wrong one, at the latest when an address in the common part is given out.
 */
import { formatIp, formatPrefix, inPrefix, parsePrefix, prefixOf, type Prefix } from "../../model/address.ts";
import { podCidrs } from "../../networks/calico/ipam/pod-cidrs.ts";
import { overlap } from "../../networks/calico/ipam/range.ts";
import { followsPodCidrs } from "../address-managers.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { podRanges, serviceRanges, type ConfiguredRange } from "../configured-ranges.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { isAstray } from "../lost.ts";
import type { Evidence } from "../types.ts";

const ID = "ranges-overlap";

/** What two prefixes share: the longer one. */
const shared = (x: Prefix, y: Prefix): Prefix => (x.len >= y.len ? x : y);

/** Walks that find no way, their destination being in the range, by a route that is for a range. */
function hurtIn(chart: Chart, range: Prefix): Hurt[] {
  return hurtsOf(
    deathsOf(chart).filter(({ disposition, routes }) => {
      const last = routes.findLast(({ layer }) => layer === 0);
      // A default route knows nothing of ranges.
      return (
        isAstray(disposition) &&
        last?.route != null &&
        last.dst !== null &&
        last.route.dst.len > 0 &&
        inPrefix(last.dst, range)
      );
    }),
  );
}

/** The network of a machine, with the device that is in it. */
interface Network extends ConfiguredRange {
  /** No node is in it. */
  beyond: boolean;
}

/** Networks in which machines stand, each once: the nodes', and those of recorded routers and hosts beyond. */
function networks(chart: Chart): Network[] {
  const found = new Map<string, Network>();
  const nodesFirst = chart.site.machines.toSorted((x, y) => Number(x.node === null) - Number(y.node === null));
  for (const machine of nodesFirst) {
    const host = chart.dir.places.get(machine.place);
    if (host === undefined) continue;
    const own = new Set(machine.devices.map((device) => device.name));
    for (const link of host.links) {
      // Bridges of containers and tunnels on a node are no network of its own.
      if (machine.node !== null && !own.has(link.name)) continue;
      for (const { ip, prefixLen, scope } of link.addresses) {
        if (scope !== "global" || link.kind.kind === "loopback") continue;
        const prefix = prefixOf(ip, prefixLen);
        const key = formatPrefix(prefix);
        if (found.has(key)) continue;
        const what = `the network ${key} of ${machine.name}'s ${link.name}`;
        const evidence = [chart.evidence(link.source, `${link.name} ${formatIp(ip)}/${prefixLen} on ${machine.name}`)];
        found.set(key, { prefix, what, evidence, beyond: machine.node === null });
      }
    }
  }
  return [...found.values()];
}

/** Whether pods live in a network by design: as further faces of the nodes' own devices. */
function isUnderlay(chart: Chart, network: Prefix): boolean {
  return chart.snapshot.namespaces.some(
    (ns) =>
      ns.pod !== null &&
      ns.links.some(
        (link) =>
          /^(macvlan|macvtap|ipvlan)$/.test(link.kind.kind) &&
          link.addresses.some((each) => inPrefix(each.ip, network)),
      ),
  );
}

interface Pair {
  a: ConfiguredRange;
  b: ConfiguredRange;
  /** What comes of it, when nobody is hurt as yet. */
  outcome: string;
  remedy: string[];
}

function suspicion(chart: Chart, { a, b, outcome, remedy }: Pair): Suspicion {
  const common = shared(a.prefix, b.prefix);
  return {
    id: ID,
    at: "cluster",
    summary: `${a.what} and ${b.what} share ${formatPrefix(common)}: ${outcome}`
      .replace(/^./, (c) => c.toUpperCase())
      .replace(/^Kube-/, "kube-"),
    evidence: [...a.evidence, ...b.evidence],
    remedy,
    hurts: hurtIn(chart, common),
    otherwise: "warning",
  };
}

/** Of several pairs that say the same of two ranges, the first. */
function once(pairs: readonly Pair[]): Pair[] {
  const seen = new Set<string>();
  return pairs.filter(({ a, b }) => {
    const key = formatPrefix(shared(a.prefix, b.prefix));
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

const MOVE_SERVICES = [
  "# choose another --service-cluster-ip-range for kube-apiserver (a further ServiceCIDR takes over new Services), then make the Services anew:",
  "kubectl get servicecidrs,services -A",
];
const MOVE_PODS = [
  "# choose another range for pods (a new IPPool and the old one disabled, or --cluster-cidr and flannel's net-conf.json), then let the pods be made anew:",
  "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDRs",
];

/** Services' ranges; without a record of them the addresses that Services have. */
function servicesOf(chart: Chart): ConfiguredRange[] {
  const told = serviceRanges(chart);
  if (told.length > 0) return told;
  return chart.snapshot.cluster.services.flatMap((service) =>
    service.clusterIPs.flatMap((address): ConfiguredRange[] => {
      const prefix = parsePrefix(address);
      const name = `${service.namespace}/${service.name}`;
      if (prefix === null) return [];
      return [
        {
          prefix,
          what: `the clusterIP ${address} of Service ${name}`,
          evidence: [chart.evidence(service.source, `Service ${name}: clusterIP ${address}`)],
        },
      ];
    }),
  );
}

/** Nodes whose podCIDRs overlap, where something gives out addresses of them. */
function sharedPodCidrs(chart: Chart): Suspicion[] {
  const followed = new Set(chart.nodes.filter(followsPodCidrs).map((machine) => machine.name));
  return podCidrs(chart.site)
    .problems.filter((problem) => problem.kind === "overlaps" && followed.has(problem.node))
    .flatMap(({ node, why }): Suspicion[] => {
      const own = chart.dir.nodes.get(node);
      const prefixes = own?.podCIDRs.map(parsePrefix).filter((each) => each !== null) ?? [];
      const others = chart.snapshot.cluster.nodes.filter(
        (other) =>
          other.name !== node && other.podCIDRs.some((text) => prefixes.some((prefix) => overlapText(prefix, text))),
      );
      if (own === undefined || others.length === 0) return [];
      const evidence: Evidence[] = [own, ...others].map((each) =>
        chart.evidence(each.source, `Node ${each.name}: podCIDR ${each.podCIDRs.join(", ")}`),
      );
      return [
        {
          id: ID,
          at: "cluster",
          summary: `podCIDR ${why}: pods of both get the same addresses, and packets for them go to one of the two nodes`,
          evidence,
          remedy: [
            `# a Node's podCIDR never changes: move its pods away, and let it register anew`,
            `kubectl drain ${node} --ignore-daemonsets`,
            `kubectl delete node ${node}`,
          ],
          hurts: prefixes.flatMap((prefix) => (others.length > 0 ? hurtIn(chart, prefix) : [])),
          otherwise: "warning",
        },
      ];
    });
}

function overlapText(prefix: Prefix, text: string): boolean {
  const other = parsePrefix(text);
  return other !== null && overlap(prefix, other);
}

export const rangesOverlap: Check = {
  ids: [ID],
  depth: "underlay",
  look(chart): Diagnosis {
    const pods = podRanges(chart);
    const services = servicesOf(chart);
    const lans = networks(chart);
    const pairs: Pair[] = [];
    for (const a of pods)
      for (const b of services)
        if (overlap(a.prefix, b.prefix))
          pairs.push({
            a,
            b,
            outcome: "as soon as a pod and a Service get the same address, nobody reaches that pod",
            remedy: MOVE_SERVICES,
          });
    for (const b of lans) {
      for (const a of pods)
        if (overlap(a.prefix, b.prefix) && !isUnderlay(chart, b.prefix)) {
          const who = b.beyond ? "hosts there" : "nodes and their gateways";
          pairs.push({
            a,
            b,
            outcome: `as soon as a node's part of it holds their addresses, ${who} are taken for pods and not reached`,
            remedy: MOVE_PODS,
          });
        }
      for (const a of services)
        if (overlap(a.prefix, b.prefix))
          pairs.push({
            a,
            b,
            outcome: "a Service with the address of a machine there hides that machine from the whole cluster",
            remedy: MOVE_SERVICES,
          });
    }
    return { suspicions: [...once(pairs).map((pair) => suspicion(chart, pair)), ...sharedPodCidrs(chart)] };
  },
};
