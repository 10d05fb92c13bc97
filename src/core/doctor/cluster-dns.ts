/** Who asks which DNS server: the resolv.conf of pods, and the Services that they name. */
import type { Service } from "../model/cluster.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import type { Chart } from "./chart.ts";

/** What a pod's resolv.conf says. */
export interface PodResolver {
  ns: Namespace;
  nameservers: { address: string; source: Source }[];
  search: readonly string[];
  ndots: number;
}

export interface ClusterDns {
  resolvers: readonly PodResolver[];
  /** Addresses that pods ask, each with those who do. */
  asked: ReadonlyMap<string, readonly PodResolver[]>;
  /** Services that have such an address, or, when no resolv.conf was recorded, those that are the cluster's DNS by convention. */
  services: ReadonlySet<Service>;
}

const known = new WeakMap<Chart, ClusterDns>();

/** resolv.conf(5): `nameserver`, the last `search` or `domain`, `options ndots:N`. */
function parse(ns: Namespace, file: string, text: string): PodResolver {
  const nameservers: PodResolver["nameservers"] = [];
  let search: string[] = [];
  let ndots = 1;
  text.split("\n").forEach((line, i) => {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined)
      nameservers.push({ address: rest[0], source: { file, line: i + 1 } });
    else if (word === "search") search = rest;
    else if (word === "domain") search = rest.slice(0, 1);
    else if (word === "options") for (const option of rest) ndots = Number(/^ndots:(\d+)$/.exec(option)?.[1] ?? ndots);
  });
  return { ns, nameservers, search, ndots };
}

/** Labels and names that installers give the Service (DNS specification for Kubernetes, addon manager's cluster-dns). */
const conventional = (service: Service): boolean =>
  service.namespace === "kube-system" &&
  (service.labels["k8s-app"] === "kube-dns" || service.name === "kube-dns" || service.name === "coredns") &&
  service.ports.some((port) => port.port === 53);

/** The cluster's DNS as its pods see it. */
export function clusterDns(chart: Chart): ClusterDns {
  let dns = known.get(chart);
  if (dns !== undefined) return dns;
  const resolvers = chart.snapshot.namespaces.flatMap((ns): PodResolver[] => {
    if (ns.pod === null) return [];
    const file = `${ns.dir}/resolv.conf`;
    const text = chart.snapshot.text(file);
    return text === undefined ? [] : [parse(ns, file, text)];
  });
  const asked = new Map<string, PodResolver[]>();
  for (const resolver of resolvers) {
    for (const { address } of resolver.nameservers) {
      const list = asked.get(address);
      if (list === undefined) asked.set(address, [resolver]);
      else list.push(resolver);
    }
  }
  const all = [...chart.dir.services.values()];
  const services = new Set(
    asked.size > 0 ? all.filter((each) => each.clusterIPs.some((ip) => asked.has(ip))) : all.filter(conventional),
  );
  known.set(chart, (dns = { resolvers, asked, services }));
  return dns;
}
