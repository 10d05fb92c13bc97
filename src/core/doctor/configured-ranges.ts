/** Ranges of addresses that programs and objects were given, each with the line that says so. */
import { formatPrefix, inPrefix, parseIp, parsePrefix, type Prefix } from "../model/address.ts";
import { ipamBlocks, ipPools } from "../networks/calico/pools.ts";
import { parseSubnetEnv } from "../networks/flannel/subnet-env.ts";
import { flagOf } from "../networks/flags.ts";
import { kubeProxySettings } from "../networks/kube-proxy/settings.ts";
import { IntentError } from "../networks/network.ts";
import type { Machine } from "../networks/site.ts";
import { object, text, texts } from "../networks/raw.ts";
import type { Chart } from "./chart.ts";
import { objectSources } from "./object-sources.ts";
import { calicoEvidence } from "./raw-objects.ts";
import type { Evidence } from "./types.ts";

export interface ConfiguredRange {
  prefix: Prefix;
  /** `kube-proxy's clusterCIDR 10.244.0.0/16`, without an article. */
  what: string;
  evidence: Evidence[];
}

const prefixesIn = (value: string): Prefix[] =>
  value
    .split(",")
    .map((each) => parsePrefix(each.trim()))
    .filter((each) => each !== null);

const keyOf = (prefix: Prefix): string => `${prefix.ip.v} ${prefix.ip.key} ${prefix.len}`;

/** The line of a text in which a word stands; 1 when it stands in none. */
export function lineOf(whole: string, word: string): number {
  const at = whole.indexOf(word);
  return at < 0 ? 1 : whole.slice(0, at).split("\n").length;
}

/** What kube-proxy of a machine takes for pods by their addresses; empty when it tells them in another way, or cannot be read. */
function clusterCidrsOf(chart: Chart, machine: Machine): ConfiguredRange[] {
  let settings: ReturnType<typeof kubeProxySettings>;
  try {
    settings = kubeProxySettings(machine);
  } catch (error) {
    if (error instanceof IntentError) return [];
    throw error;
  }
  const mode = settings?.settings["detectLocalMode"];
  const value = settings?.settings["clusterCIDR"];
  if (typeof value !== "string" || value === "" || !(mode === undefined || mode === "" || mode === "ClusterCIDR"))
    return [];
  const command = machine.command("kube-proxy");
  const path = command === null ? null : flagOf(command.words, "config");
  const file = (path === null ? null : machine.file(path)) ?? machine.file("kube-proxy.yaml");
  const source =
    command !== null && path === null
      ? command.source
      : file === null
        ? null
        : { ...file.source, line: lineOf(file.text, value) };
  return prefixesIn(value).map((prefix) => ({
    prefix,
    what: `kube-proxy's clusterCIDR ${value}`,
    evidence: source === null ? [] : [chart.evidence(source, `clusterCIDR: ${value}`)],
  }));
}

/** Of equal ranges the first. */
function once(ranges: readonly ConfiguredRange[]): ConfiguredRange[] {
  return [...new Map(ranges.toReversed().map((each) => [keyOf(each.prefix), each])).values()].toReversed();
}

const clusterCidrsKnown = new WeakMap<Chart, readonly ConfiguredRange[]>();

/** kube-proxy's clusterCIDRs, each value once with the first machine that has it. */
export function clusterCidrs(chart: Chart): readonly ConfiguredRange[] {
  let ranges = clusterCidrsKnown.get(chart);
  if (ranges === undefined) {
    ranges = once(chart.nodes.flatMap((machine) => clusterCidrsOf(chart, machine)));
    clusterCidrsKnown.set(chart, ranges);
  }
  return ranges;
}

/** Ranges that a flag of a control-plane program names. */
function flagRanges(chart: Chart, program: string, flag: string): ConfiguredRange[] {
  return chart.site.machines.flatMap((machine) => {
    const command = machine.command(program);
    const value = command === null ? null : flagOf(command.words, flag);
    if (command === null || value === null) return [];
    const evidence = [chart.evidence(command.source, `${program} --${flag}=${value}`)];
    return prefixesIn(value).map((prefix) => ({ prefix, what: `${program}'s --${flag} ${value}`, evidence }));
  });
}

/**
 * Ranges that Services get their addresses of: ServiceCIDRs (KEP-1880), else the API server's flag. Empty when neither was recorded.
 */
export function serviceRanges(chart: Chart): ConfiguredRange[] {
  const resource = "servicecidrs.networking.k8s.io";
  const sources = objectSources(chart.snapshot, resource);
  const objects = (chart.snapshot.cluster.raw.get(resource) ?? []).flatMap((item, at) => {
    const name = text(object(object(item)["metadata"])["name"]) ?? "";
    const source = sources[at] ?? { file: `cluster/${resource}.json`, line: 1 };
    return texts(object(object(item)["spec"])["cidrs"]).flatMap((cidr): ConfiguredRange[] => {
      const prefix = parsePrefix(cidr);
      if (prefix === null) return [];
      return [
        {
          prefix,
          what: `ServiceCIDR ${name} ${cidr}`,
          evidence: [chart.evidence(source, `ServiceCIDR ${name}: ${cidr}`)],
        },
      ];
    });
  });
  return once([...objects, ...flagRanges(chart, "kube-apiserver", "service-cluster-ip-range")]);
}

/** Pools of Calico that pods get addresses of. */
function poolRanges(chart: Chart): ConfiguredRange[] {
  return ipPools(chart.snapshot.cluster)
    .filter((pool) => pool.allowedUses.length === 0 || pool.allowedUses.includes("Workload"))
    .map(({ name, cidr }) => {
      const said = `IPPool ${name} ${formatPrefix(cidr)}`;
      return { prefix: cidr, what: said, evidence: calicoEvidence(chart, "ippools", name, said) };
    });
}

/** flannel's networks, as flanneld wrote them down. */
function flannelRanges(chart: Chart): ConfiguredRange[] {
  return chart.nodes.flatMap((machine) => {
    const file = machine.file("/run/flannel/subnet.env");
    if (file === null) return [];
    const env = parseSubnetEnv(file.text);
    return [env.network4, env.network6].flatMap((network): ConfiguredRange[] => {
      if (network === null) return [];
      const key = network.ip.v === 4 ? "FLANNEL_NETWORK=" : "FLANNEL_IPV6_NETWORK=";
      const source = { ...file.source, line: lineOf(file.text, key) };
      const said = chart.snapshot.line(source);
      return [
        { prefix: network, what: `flannel's network ${said.slice(key.length)}`, evidence: [chart.evidence(source)] },
      ];
    });
  });
}

/**
 * Ranges that pods get their addresses of: Calico's pools where its IPAM gives them out; else what nodes' podCIDRs are cut of, as the
 * controller manager, flannel and kube-proxy were told. kube-proxy's range counts only when podCIDRs lie in it and no node does: some
 * give it all addresses that are not to be masqueraded.
 */
export function podRanges(chart: Chart): readonly ConfiguredRange[] {
  let ranges = podRangesOf.get(chart);
  if (ranges === undefined) podRangesOf.set(chart, (ranges = findPodRanges(chart)));
  return ranges;
}

const podRangesOf = new WeakMap<Chart, readonly ConfiguredRange[]>();

function findPodRanges(chart: Chart): ConfiguredRange[] {
  const { cluster } = chart.snapshot;
  const pools = poolRanges(chart);
  if (pools.length > 0 && ipamBlocks(cluster).blocks.length > 0) return pools;
  const given = cluster.nodes.flatMap((node) => node.podCIDRs.map(parsePrefix).filter((each) => each !== null));
  const nodes = cluster.nodes.flatMap((node) => node.addresses.map((each) => parseIp(each.address)));
  const told = clusterCidrs(chart).filter(
    ({ prefix }) =>
      given.some((each) => each.len >= prefix.len && inPrefix(each.ip, prefix)) &&
      !nodes.some((ip) => ip !== null && inPrefix(ip, prefix)),
  );
  return once([
    ...pools,
    ...flagRanges(chart, "kube-controller-manager", "cluster-cidr"),
    ...flannelRanges(chart),
    ...told,
  ]);
}
