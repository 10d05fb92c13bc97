/**
 * What pods leave behind when they are not taken down in order: addresses that IPAM still counts as theirs (host-local's files, plugins
 * ipam/host-local/backend/disk; Calico's IPAM blocks), namespaces, and host ends of veth pairs whose other end is nowhere. Harmless,
 * until so many are gone that new pods find none.
 */
import { formatIp, parsePrefix, formatPrefix, parseIp, ip4, type Ip } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import type { Machine } from "../../networks/site.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { objectSources } from "../object-sources.ts";
import { list, object } from "../../networks/raw.ts";

const HOST_LOCAL = "/var/lib/cni/networks/";
const MOST_LINES = 5;
const BLOCKS = "ipamblocks.crd.projectcalico.org";

const some = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;

/** Addresses that anything on a machine has or that a pod of the cluster is given: these are in use. */
function usedAddresses(chart: Chart): Set<string> {
  const used = new Set<string>();
  for (const pod of chart.snapshot.cluster.pods) for (const ip of pod.ips) used.add(ip);
  for (const ns of chart.snapshot.namespaces)
    for (const link of ns.links) for (const { ip } of link.addresses) used.add(formatIp(ip));
  return used;
}

/** Pods that have no address as yet may be the ones whose address is new. */
const isStarting = (pod: Pod): boolean => pod.ips.length === 0 && pod.phase === "Pending";

/** Files of host-local without a pod: NET/ADDRESS holds the container's id and its interface. */
function hostLocal(chart: Chart, machine: Machine, used: ReadonlySet<string>): Suspicion[] {
  const leaked = machine.files(HOST_LOCAL).flatMap((path): { address: string; source: Source; path: string }[] => {
    const ip = parseIp(path.slice(path.lastIndexOf("/") + 1));
    const file = machine.file(path);
    if (ip === null || file === null || used.has(formatIp(ip))) return [];
    return [{ address: formatIp(ip), source: file.source, path }];
  });
  if (leaked.length === 0) return [];
  return [
    {
      id: "leaked-address",
      at: machine.place,
      summary: `host-local on ${machine.name} holds ${leaked.length} ${leaked.length === 1 ? "address" : "addresses"} that no pod has: ${some(leaked.map(({ address }) => address))}`,
      evidence: leaked
        .slice(0, MOST_LINES)
        .map(({ source, path }) => chart.evidence(source, `${path}: ${chart.snapshot.line(source)}`)),
      remedy: leaked
        .slice(0, MOST_LINES)
        .map(({ path }) => `rm ${path}   # when no container has this id any more: crictl ps -a`),
      hurts: [],
      otherwise: "info",
    },
  ];
}

/** The `i`-th address of a block. */
function nth(cidr: string, i: number): string | null {
  const prefix = parsePrefix(cidr);
  if (prefix === null || prefix.ip.v !== 4) return null;
  return formatIp(ip4(prefix.ip.a + i));
}

/** Allocations of Calico's blocks whose pod is gone (libcalico-go/lib/ipam: attributes namespace and pod of an allocation). */
function calico(chart: Chart, used: ReadonlySet<string>): Suspicion[] {
  const pods = chart.dir.pods;
  const leaked: { address: string; pod: string; node: string; source: Source | null }[] = [];
  (chart.snapshot.cluster.raw.get(BLOCKS) ?? []).forEach((item, i) => {
    const { cidr, allocations, attributes } = object(object(item)["spec"]);
    if (typeof cidr !== "string") return;
    const known = list(attributes);
    list(allocations).forEach((attribute, offset) => {
      const at = typeof attribute === "number" ? nth(cidr, offset) : null;
      if (at === null || typeof attribute !== "number" || used.has(at)) return;
      const { namespace, pod, node } = object(object(known[attribute])["secondary"]);
      if (typeof namespace !== "string" || typeof pod !== "string") return;
      const entry = pods.get(`${namespace}/${pod}`);
      if (entry?.object !== undefined && entry.object !== null && isStarting(entry.object)) return;
      leaked.push({
        address: at,
        pod: `${namespace}/${pod}`,
        node: typeof node === "string" ? node : "",
        source: objectSources(chart.snapshot, BLOCKS)[i] ?? null,
      });
    });
  });
  if (leaked.length === 0) return [];
  return [
    {
      id: "leaked-address",
      at: "cluster",
      summary: `Calico's IPAM holds ${leaked.length} ${leaked.length === 1 ? "address" : "addresses"} for pods that are gone: ${some(leaked.map(({ address, pod }) => `${address} (${pod})`))}`,
      evidence: leaked
        .slice(0, MOST_LINES)
        .flatMap(({ address, pod, source }) =>
          source === null ? [] : [chart.evidence(source, `${address} allocated to ${pod}`)],
        ),
      remedy: ["calicoctl ipam check --show-problem-ips   # then calicoctl ipam release --from-report"],
      hurts: [],
      otherwise: "info",
    },
  ];
}

/** Namespaces of pods that the cluster does not know any more. */
function namespaces(chart: Chart): Suspicion[] {
  if (chart.snapshot.cluster.missing.has("pods")) return [];
  const byNode = new Map<string, Namespace[]>();
  for (const ns of chart.snapshot.namespaces) {
    if (ns.pod === null || chart.dir.pods.get(`${ns.pod.namespace}/${ns.pod.name}`)?.object !== null) continue;
    const own = byNode.get(ns.node);
    if (own === undefined) byNode.set(ns.node, [ns]);
    else own.push(ns);
  }
  return [...byNode].map(([node, left]) => ({
    id: "leaked-address",
    at: `${node}/host`,
    summary: `${node} has ${left.length === 1 ? "a network namespace" : `${left.length} network namespaces`} of pods that are gone: ${some(left.map(({ place }) => place))}`,
    evidence: left.slice(0, MOST_LINES).flatMap((ns) => {
      const link = ns.links.find((each) => each.kind.kind !== "loopback");
      return link === undefined
        ? []
        : [
            chart.evidence(
              link.source,
              `${ns.place}: ${link.addresses.map(({ ip, prefixLen }) => `${formatIp(ip)}/${prefixLen}`).join(", ")}`,
            ),
          ];
    }),
    remedy: left
      .slice(0, MOST_LINES)
      .map(({ path }) =>
        path === null
          ? "crictl pods --state notready   # then crictl rmp ID"
          : `ip netns delete ${path.split("/").at(-1)}   # when crictl pods does not list it any more`,
      ),
    hurts: [],
    otherwise: "info" as const,
  }));
}

/** Routes to single addresses by a pod's device that has no other end: what Calico and ptp leave when a namespace went without them. */
function devices(chart: Chart, host: Namespace, used: ReadonlySet<string>): Suspicion[] {
  const links = new Map(host.links.map((link) => [link.name, link]));
  const left = [...host.routes4, ...host.routes6].flatMap(
    (route): { address: Ip; dev: string; source: Source; text: string }[] => {
      const dev = route.nexthops[0]?.dev ?? null;
      const link = dev === null ? undefined : links.get(dev);
      const single = route.dst.len === (route.dst.ip.v === 4 ? 32 : 128);
      if (
        dev === null ||
        link?.kind.kind !== "veth" ||
        !single ||
        route.type !== "unicast" ||
        route.nexthops[0]?.gateway != null
      )
        return [];
      // A link-local address is everyone's, and a device with its other end in place is a pod's.
      if (used.has(formatIp(route.dst.ip)) || link.carrier || (route.dst.ip.v === 6 && route.dst.ip.a >>> 22 === 0x3fa))
        return [];
      return [{ address: route.dst.ip, dev, source: route.source, text: `${formatPrefix(route.dst)} dev ${dev}` }];
    },
  );
  if (left.length === 0) return [];
  return [
    {
      id: "leaked-address",
      at: host.place,
      summary: `${host.node} still has ${left.length === 1 ? "a route and a device" : `${left.length} routes and devices`} for pods that are gone: ${some(left.map(({ text }) => text))}`,
      evidence: left.slice(0, MOST_LINES).map(({ source, text }) => chart.evidence(source, text)),
      remedy: left.slice(0, MOST_LINES).map(({ dev }) => `ip link delete ${dev}`),
      hurts: [],
      otherwise: "info",
    },
  ];
}

export const leakedAddress: Check = {
  ids: ["leaked-address"],
  depth: "service",
  look(chart): Diagnosis {
    if (chart.snapshot.cluster.missing.has("pods")) return { suspicions: [] };
    const used = usedAddresses(chart);
    const starting = new Set(chart.snapshot.cluster.pods.filter(isStarting).map((pod) => pod.node));
    return {
      suspicions: [
        ...chart.nodes.flatMap((machine) => (starting.has(machine.name) ? [] : hostLocal(chart, machine, used))),
        ...calico(chart, used),
        ...namespaces(chart),
        ...chart.hosts.flatMap((host) => devices(chart, host, used)),
      ],
    };
  },
};
