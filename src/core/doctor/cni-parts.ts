/** What can be wrong with parts of a node's CNI configuration: no portmap for its hostPorts, ranges, flannel's file. */
import { formatPrefix, inPrefix, parsePrefix } from "../model/address.ts";
import type { Source } from "../model/source.ts";
import { object, text } from "../networks/raw.ts";
import { rangeSets } from "../networks/cni/host-local.ts";
import { IntentError } from "../networks/network.ts";
import { namedSubnets } from "./address-managers.ts";
import type { PodEntry } from "../names/directory.ts";
import type { Chart } from "./chart.ts";
import type { Suspicion } from "./check.ts";
import { base, mainType, META, type CniSubject } from "./cni-subjects.ts";
import { lineOf } from "./configured-ranges.ts";
import { lostOf } from "./lost.ts";

/** Networks that serve hostPorts without portmap. */
const OWN_PORTS: ReadonlySet<string> = new Set([
  "cilium-cni",
  "calico-ebpf",
  "antrea",
  "kube-ovn",
  "ovn-k8s-cni-overlay",
  "openshift-sdn",
]);

/** Whether portmap's rules are there: without them, whatever serves the node's hostPorts is something else. */
function servedByPortmap({ chart, machine }: CniSubject): boolean {
  const host = chart.dir.places.get(machine.place);
  const chains =
    host?.xtables.flatMap((set) => set.tables.flatMap((table) => table.chains.map((chain) => chain.name))) ?? [];
  const tables = host?.nft?.tables.map((table) => table.name) ?? [];
  return chains.some((name) => name.startsWith("CNI-HOSTPORT")) || tables.includes("cni_hostport");
}

const podsByNode = new WeakMap<Chart, ReadonlyMap<string, readonly PodEntry[]>>();

/** Pods of a node that have a network of their own. */
function podsOf(chart: Chart, node: string): readonly PodEntry[] {
  let known = podsByNode.get(chart);
  if (known === undefined) {
    const found = new Map<string, PodEntry[]>();
    for (const pod of chart.dir.pods.values()) {
      if (pod.object === null || pod.object.node === null || pod.object.hostNetwork) continue;
      const list = found.get(pod.object.node);
      if (list === undefined) found.set(pod.object.node, [pod]);
      else list.push(pod);
    }
    podsByNode.set(chart, (known = found));
  }
  return known.get(node) ?? [];
}

/** Pods' hostPorts that no plugin serves. */
export function hostPorts(subject: CniSubject): Suspicion[] {
  const { chart, machine, used } = subject;
  if (used?.network == null || META.has(mainType(used)) || OWN_PORTS.has(mainType(used))) return [];
  const portmap = used.network.plugins.find(({ type }) => type === "portmap" || type === "cilium-portmap");
  const able = object(portmap?.conf["capabilities"])["portMappings"] === true;
  if (able) return [];
  const hurts = lostOf(
    chart.failures.filter(({ target: { aim } }) => aim.kind === "hostPort" && aim.node === machine.name),
  );
  const pods = podsOf(chart, machine.name).filter(({ object: pod }) =>
    pod?.ports.some((port) => port.hostPort !== null),
  );
  const [first] = pods;
  if (first === undefined || (hurts.length === 0 && !servedByPortmap(subject))) return [];
  const why = portmap === undefined ? "has no plugin portmap" : "gives portmap no capability portMappings";
  return [
    {
      ...base(subject),
      summary: `${used.path} of ${machine.name} ${why}: the hostPort of pod ${first.id}${pods.length > 1 ? ` and of ${pods.length - 1} more` : ""} ${hurts.length > 0 ? "leads nowhere" : "is lost when the pod is made anew"}`,
      evidence: [
        chart.evidence({ ...used.source, line: portmap === undefined ? 1 : lineOf(used.text, '"portmap"') }),
        ...(first.object === null
          ? []
          : [
              chart.evidence(
                first.object.source,
                `Pod ${first.id}: hostPort ${first.object.ports.find((port) => port.hostPort !== null)?.hostPort}`,
              ),
            ]),
      ],
      remedy: [
        `# on ${machine.name}: add {"type":"portmap","capabilities":{"portMappings":true}} at the end of "plugins" in ${used.path}, then`,
        `kubectl -n ${first.namespace} delete pod ${first.name}`,
      ],
      hurts,
    },
  ];
}

/** host-local's ranges: such that it refuses, and such that are another node's. */
export function wrongRanges(subject: CniSubject, others: readonly CniSubject[]): Suspicion[] {
  const { chart, machine, used } = subject;
  if (used?.network == null) return [];
  return used.network.plugins.flatMap(({ conf, what, type }): Suspicion[] => {
    const ipam = object(conf["ipam"]);
    if (ipam["type"] !== "host-local" || type === "flannel") return [];
    const subnets = namedSubnets(ipam).filter((each) => !/^usePodCidr/i.test(each));
    if (subnets.length === 0) return [];
    const line = (word: string): Source => ({ ...used.source, line: lineOf(used.text, word) });
    let why = "";
    try {
      const sets = rangeSets({ ...ipam }, what);
      const bad = sets.flat().find((each) => !inPrefix(each.start, each.subnet) || !inPrefix(each.end, each.subnet));
      if (bad !== undefined) why = `a range begins or ends outside its subnet ${formatPrefix(bad.subnet)}`;
    } catch (error) {
      if (!(error instanceof IntentError)) throw error;
      // Calico's plugin fills in what host-local would not take.
      if (!namedSubnets(ipam).some((each) => /^usePodCidr/i.test(each))) why = error.message.replace(`${what}: `, "");
    }
    if (why !== "")
      return [
        {
          ...base(subject),
          summary: `host-local of ${machine.name} refuses its ranges in ${used.path} (${why}): the next pod gets no address`,
          evidence: [chart.evidence(line(`"${subnets[0]}"`))],
          remedy: [
            `# on ${machine.name}: mend "ipam" of ${used.path}${machine.node === null ? "" : `; its Node's podCIDR is ${machine.node.podCIDRs.join(", ")}`}`,
          ],
        },
      ];
    return foreignRanges(subject, others, subnets, line);
  });
}

/** Whether a machine's ranges are its Node's podCIDRs. */
function keeps({ machine, used }: CniSubject): boolean {
  const subnets = used?.network?.plugins.flatMap(({ conf }) => namedSubnets(object(conf["ipam"]))) ?? [];
  const own = machine.node?.podCIDRs.map(parsePrefix) ?? [];
  return subnets.length > 0 && subnets.every((each) => within(each, own));
}

function within(subnet: string, ranges: readonly ReturnType<typeof parsePrefix>[]): boolean {
  const prefix = parsePrefix(subnet);
  return (
    prefix !== null && ranges.some((range) => range !== null && range.len <= prefix.len && inPrefix(prefix.ip, range))
  );
}

/** Ranges that are not of the Node's podCIDR, though every other node's are. */
function foreignRanges(
  subject: CniSubject,
  others: readonly CniSubject[],
  subnets: readonly string[],
  line: (word: string) => Source,
): Suspicion[] {
  const { chart, machine, used } = subject;
  const { node } = machine;
  const own = node?.podCIDRs.map(parsePrefix) ?? [];
  const foreign = subnets.filter((each) => !within(each, own));
  const configured = others.filter((each) => each.used !== null);
  if (node === null || own.length === 0 || foreign.length === 0 || configured.length === 0 || !configured.every(keeps))
    return [];
  const whose = configured.find((each) =>
    foreign.some((subnet) => within(subnet, each.machine.node?.podCIDRs.map(parsePrefix) ?? [])),
  );
  const then =
    whose === undefined
      ? "no other node has a route to the next pod there"
      : `the next pods there get addresses that belong to ${whose.machine.name}`;
  const lost = new Set(
    podsOf(chart, machine.name)
      .filter((pod) => pod.ips.some((address) => within(address, foreign.map(parsePrefix))))
      .map((pod) => pod.id),
  );
  const hurts = lostOf(
    chart.failures.filter(
      ({ target: { aim } }) => aim.kind === "pod" && lost.has(`${aim.pod.namespace}/${aim.pod.name}`),
    ),
  );
  return [
    {
      ...base(subject),
      summary: `${used!.path} of ${machine.name} gives out ${foreign.join(", ")}, but its Node's podCIDR is ${node.podCIDRs.join(", ")}: ${then}`,
      evidence: [
        chart.evidence(line(`"${foreign[0]}"`)),
        chart.evidence(node.source, `Node ${node.name}: podCIDR ${node.podCIDRs.join(", ")}`),
      ],
      remedy: [`# on ${machine.name}`, `sed -i 's#${foreign[0]}#${node.podCIDRs[0]}#' ${used!.path}`],
      hurts,
    },
  ];
}

const ENV = "/run/flannel/subnet.env";

/** flannel's plugin without what its daemon writes. */
export function noSubnetFile(subject: CniSubject, others: readonly CniSubject[]): Suspicion[] {
  const { chart, machine, used } = subject;
  const flannel = used?.network?.plugins.find(({ type }) => type === "flannel");
  if (used === null || flannel === undefined) return [];
  const path = text(flannel.conf["subnetFile"]) ?? ENV;
  if (machine.file(path) !== null || !others.some((each) => each.machine.file(path) !== null)) return [];
  return [
    {
      ...base(subject),
      summary: `${machine.name} has no ${path}, which its plugin flannel reads: the next pod there gets no network until flanneld runs`,
      evidence: [chart.evidence({ ...used.source, line: lineOf(used.text, '"flannel"') })],
      remedy: [`kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=${machine.name}`],
    },
  ];
}
