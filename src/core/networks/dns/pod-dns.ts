/** The resolver of a pod as kubelet makes it (pkg/kubelet/network/dns/dns.go, Configurer.GetPodDNS, Kubernetes v1.34). */
import type { Cluster, Pod } from "../../model/cluster.ts";
import { at, flagAt, listAt, plain, textAt, textsAt } from "../raw-paths.ts";
import type { KubeletDns } from "./kubelet-dns.ts";
import { MAX_NAMESERVERS, resolvConfText, withoutFinalDot, type ResolvConf } from "./resolv-conf.ts";

export type DnsPolicy = "ClusterFirst" | "ClusterFirstWithHostNet" | "Default" | "None";

/** What a pod asks for (core/v1 PodSpec dnsPolicy, dnsConfig). */
export interface PodDnsWish {
  namespace: string;
  hostNetwork: boolean;
  policy: DnsPolicy;
  nameservers: string[];
  searches: string[];
  /** Value null: an option without one, as `use-vc`. */
  options: { name: string; value: string | null }[];
}

/** What it gets, and what kubelet tells in events of the pod. */
export interface PodDns {
  conf: ResolvConf;
  events: string[];
}

/** Kubernetes' own limits (pkg/apis/core/validation, MaxDNSSearchPaths and MaxDNSSearchListChars; a name's: DNS1123SubdomainMaxLength). */
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARS = 2048;
const MAX_NAME = 253;

const POLICIES: readonly string[] = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

/** What a pod's object asks for; null when the object was not recorded. An unknown policy counts as ClusterFirst, as kubelet has it. */
export function podDnsWish(cluster: Cluster, pod: Pod): PodDnsWish | null {
  const raw = cluster.raw
    .get("pods")
    ?.find(
      (each) =>
        textAt(each, "metadata", "name") === pod.name && textAt(each, "metadata", "namespace") === pod.namespace,
    );
  if (raw === undefined) return null;
  const spec = plain(at(raw, "spec"));
  const policy = textAt(spec, "dnsPolicy") ?? "ClusterFirst";
  return {
    namespace: pod.namespace,
    hostNetwork: flagAt(spec, "hostNetwork") ?? false,
    policy: POLICIES.includes(policy) ? (policy as DnsPolicy) : "ClusterFirst",
    nameservers: textsAt(spec, "dnsConfig", "nameservers"),
    searches: textsAt(spec, "dnsConfig", "searches"),
    options: listAt(spec, "dnsConfig", "options").map((each) => ({
      name: textAt(each, "name") ?? "",
      value: textAt(each, "value"),
    })),
  };
}

const unique = (list: readonly string[]): string[] => [...new Set(list)];

/** `name:value` options, those of the pod over those that are there (mergeDNSOptions). */
function mergeOptions(existing: readonly string[], wished: PodDnsWish["options"]): string[] {
  const merged = new Map<string, string>();
  for (const option of existing) {
    const colon = option.indexOf(":");
    if (colon < 0) merged.set(option, "");
    else merged.set(option.slice(0, colon), option.slice(colon + 1));
  }
  for (const option of wished) merged.set(option.name, option.value ?? "");
  return [...merged].map(([name, value]) => (value === "" ? name : `${name}:${value}`));
}

/** The search list cut to kubelet's limits (formDNSSearchFitsLimits): 32 names, none beyond 253 characters, 2048 in all. */
function fitSearch(search: readonly string[], events: string[]): string[] {
  let fits = search.slice(0, MAX_SEARCHES).filter((name) => name.length <= MAX_NAME);
  while (fits.join(" ").length > MAX_SEARCH_CHARS) fits = fits.slice(0, -1);
  if (fits.length < search.length)
    events.push(`the search list is longer than a pod may have; of it are left: ${fits.join(" ")}`);
  return fits;
}

function fitServers(servers: readonly string[], events: string[]): string[] {
  const fits = servers.slice(0, MAX_NAMESERVERS);
  if (fits.length < servers.length)
    events.push(`there are more than ${MAX_NAMESERVERS} servers; of them are left: ${fits.join(" ")}`);
  return fits;
}

/** Search list of ClusterFirst: the pod's namespace, all Services, the domain, then the host's own (generateSearchesForDNSClusterFirst). */
function clusterSearch(namespace: string, domain: string, host: readonly string[]): string[] {
  if (domain === "") return [...host];
  return unique([`${namespace}.svc.${domain}`, `svc.${domain}`, domain, ...host]);
}

/**
 * The resolver that kubelet gives a pod. ClusterFirst on the host's network is Default; ClusterFirst without a cluster DNS server falls
 * back to Default with an event. Never throws.
 */
export function podDns(wish: PodDnsWish, kubelet: KubeletDns): PodDns {
  const events: string[] = [];
  const host = kubelet.host ?? { nameservers: [], search: [], options: [] };
  let conf: ResolvConf = { nameservers: [...host.nameservers], search: [...host.search], options: [...host.options] };
  const cluster = wish.policy === "ClusterFirstWithHostNet" || (wish.policy === "ClusterFirst" && !wish.hostNetwork);
  if (wish.policy === "None") conf = { nameservers: [], search: [], options: [] };
  else if (cluster && kubelet.clusterDns.length > 0)
    conf = {
      nameservers: [...kubelet.clusterDns],
      search: clusterSearch(wish.namespace, kubelet.clusterDomain, host.search),
      options: ["ndots:5"],
    };
  else {
    if (cluster) events.push("kubelet was told no DNS server of the cluster, so ClusterFirst falls back to Default");
    if (kubelet.host === null) {
      const local = kubelet.nodeIps.map((ip) => (ip.includes(":") ? "::1" : "127.0.0.1"));
      conf = { nameservers: local.length > 0 ? local : ["127.0.0.1"], search: ["."], options: [] };
    }
  }
  const wished = wish.nameservers.length + wish.searches.length + wish.options.length > 0;
  if (wished)
    conf = {
      nameservers: unique([...conf.nameservers, ...wish.nameservers]),
      search: unique([...conf.search, ...wish.searches]),
      options: mergeOptions(conf.options, wish.options),
    };
  return {
    conf: { ...conf, nameservers: fitServers(conf.nameservers, events), search: fitSearch(conf.search, events) },
    events,
  };
}

/** One way in which a recorded resolv.conf is not what kubelet would write. */
export interface ResolvConfDifference {
  what: "nameservers" | "search" | "options";
  intended: string[];
  actual: string[];
}

/**
 * What differs between an intended resolver and a recorded file. Servers and search list are compared in order, options as a set:
 * kubelet keeps them in a map without order.
 */
export function resolvConfDifferences(intended: ResolvConf, actual: ResolvConf): ResolvConfDifference[] {
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && a.every((each, index) => each === b[index]);
  const found: ResolvConfDifference[] = [];
  for (const what of ["nameservers", "search"] as const)
    if (!same(intended[what].map(withoutFinalDot), actual[what].map(withoutFinalDot)))
      found.push({ what, intended: intended[what], actual: actual[what] });
  if (!same(intended.options.toSorted(), actual.options.toSorted()))
    found.push({ what: "options", intended: intended.options, actual: actual.options });
  return found;
}

/** The file's text that a container runtime would write for the pod. */
export function podResolvConfText(wish: PodDnsWish, kubelet: KubeletDns): string {
  return resolvConfText(podDns(wish, kubelet).conf);
}
