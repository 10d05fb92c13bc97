/**
 * What the recorded cluster's DNS would answer (Kubernetes DNS specification 1.1.0, as CoreDNS's kubernetes plugin serves it),
 * and which names a resolver would ask for (resolv.conf(5)).
 */
import { formatIp, parseIp } from "../model/address.ts";
import type { Endpoint, EndpointSlice, Service } from "../model/cluster.ts";
import type { Directory } from "./directory.ts";

/** How the programs of a namespace look names up. */
export interface Resolver {
  search: readonly string[];
  ndots: number;
  /** Where it stands in the snapshot; null when it was not recorded and kubelet's usual one stands in. */
  file: string | null;
}

/** An answer of the cluster's DNS. */
export type DnsAnswer =
  | { kind: "service"; service: Service }
  | { kind: "endpoints"; service: Service; endpoints: { slice: EndpointSlice; endpoint: Endpoint }[] }
  | { kind: "address"; address: string };

/** Reads `search` and `options ndots:N`. The last `search` or `domain` line wins; ndots is capped at 15 (glibc res_init.c, RES_MAXNDOTS). */
export function parseResolvConf(text: string): { search: string[]; ndots: number } {
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "search") search = rest;
    else if (word === "domain") search = rest.slice(0, 1);
    else if (word === "options") {
      for (const option of rest) {
        const n = /^ndots:(\d+)$/.exec(option);
        if (n !== null) ndots = Math.min(15, Number(n[1]));
      }
    }
  }
  return { search: search.map((s) => s.replace(/\.$/, "")).filter((s) => s !== ""), ndots };
}

/** The cluster's domain, from the search lists of its pods (`NS.svc.DOMAIN`); `cluster.local` when no recorded one tells. */
export function clusterDomain(dir: Directory): string {
  for (const pod of dir.pods.values()) {
    if (pod.at === null || pod.object?.hostNetwork === true) continue;
    const text = dir.snapshot.text(`${pod.at.dir}/resolv.conf`);
    if (text === undefined) continue;
    const beginning = `${pod.namespace}.svc.`;
    const own = parseResolvConf(text).search.find((s) => s.startsWith(beginning));
    if (own !== undefined) return own.slice(beginning.length);
  }
  return "cluster.local";
}

/**
 * The resolver of a place. A pod's is its own resolv.conf, else what kubelet writes for dnsPolicy ClusterFirst
 * (pkg/kubelet/network/dns/dns.go, generateSearchesForDNSClusterFirst). A host's programs do not ask the cluster; there,
 * `NAME.NAMESPACE` and full names are taken as shorthand for what the cluster would answer.
 */
export function resolverOf(dir: Directory, place: string): Resolver {
  const ns = dir.places.get(place);
  const domain = clusterDomain(dir);
  if (ns?.pod != null) {
    const file = `${ns.dir}/resolv.conf`;
    const text = dir.snapshot.text(file);
    if (text !== undefined) return { ...parseResolvConf(text), file };
    return { search: [`${ns.pod.namespace}.svc.${domain}`, `svc.${domain}`, domain], ndots: 5, file: null };
  }
  return { search: [`svc.${domain}`, domain], ndots: 5, file: null };
}

/** The absolute names that a resolver tries for `name`, in order (glibc res_query.c, __res_context_search). */
export function candidateNames(name: string, resolver: Resolver): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = resolver.search.map((s) => `${name}.${s}`);
  const dots = name.split(".").length - 1;
  return dots >= resolver.ndots ? [name, ...searched] : [...searched, name];
}

/** The name that CoreDNS gives an endpoint: its hostname, else its address with dashes (plugin/kubernetes, endpointHostname). */
function endpointName(endpoint: Endpoint, address: string): string {
  return endpoint.hostname ?? address.replaceAll(/[.:]/g, "-");
}

/** Ready endpoints of a Service; CoreDNS leaves out those whose ready condition is false (plugin/kubernetes/object/endpoint.go). */
export function readyEndpoints(dir: Directory, service: Service): { slice: EndpointSlice; endpoint: Endpoint }[] {
  const slices = dir.slices.get(`${service.namespace}/${service.name}`) ?? [];
  return slices.flatMap((slice) => slice.endpoints.filter((e) => e.ready).map((endpoint) => ({ slice, endpoint })));
}

/** `10-244-0-2` or `fd00-244--2` as an address (plugin/kubernetes, findPods; pods insecure); null when it is none. */
function dashedAddress(label: string): string | null {
  const v4 = label.split("-").length === 4 && !label.includes("--");
  const ip = parseIp(label.replaceAll("-", v4 ? "." : ":"));
  return ip === null ? null : formatIp(ip);
}

/** What the cluster answers for an absolute name; null for a name that it does not serve or does not know. */
export function lookup(dir: Directory, fqdn: string, domain: string): DnsAnswer | null {
  const name = fqdn.toLowerCase();
  const zone = `.${domain.toLowerCase()}`;
  if (!name.endsWith(zone)) return null;
  const labels = name.slice(0, -zone.length).split(".");
  const type = labels.pop();
  const namespace = labels.pop();
  if (namespace === undefined) return null;
  if (type === "pod") {
    if (labels.length !== 1 || !dir.namespaces.has(namespace)) return null;
    const address = dashedAddress(labels[0]!);
    return address === null ? null : { kind: "address", address };
  }
  if (type !== "svc") return null;
  const service = dir.services.get(`${namespace}/${labels.at(-1)}`);
  if (service === undefined) return null;
  if (labels.length === 1) return { kind: "service", service };
  if (labels.length !== 2 || service.externalName !== null) return null;
  const endpoints = readyEndpoints(dir, service).filter(({ endpoint }) =>
    endpoint.addresses.some((a) => endpointName(endpoint, a).toLowerCase() === labels[0]),
  );
  return endpoints.length === 0 ? null : { kind: "endpoints", service, endpoints };
}
