/**
 * Too little DNS for the cluster: a lookup of an outside name with ndots:5 asks every domain of the search list first, for A and
 * AAAA each, so that one name costs ten questions (resolv.conf(5)). Signs: datagrams lost because a DNS server did not read them in
 * time (UdpRcvbufErrors in its namespace), questions lost to two of one socket racing for a conntrack entry (insert_failed), and
 * fewer servers than one for sixteen nodes, the cluster-proportional-autoscaler's default for DNS (nodesPerReplica).
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { clusterDns } from "../cluster-dns.ts";
import { usableEndpoints } from "../expect.ts";
import { conntrackStat, nstat } from "../stats.ts";
import type { Evidence } from "../types.ts";

const NODES_PER_SERVER = 16;
/** Lost datagrams in a hundred that a server received, from which on clients notice time-outs of five seconds. */
const NOTICED_PERCENT = 0.1;
/** Fewer lost ones than this may be one burst long ago. */
const NOTICED = 100;
const UDP = 17;

interface Servers {
  name: string;
  pods: Namespace[];
  count: number;
  source: Evidence;
}

function servers(chart: Chart): Servers[] {
  return [...clusterDns(chart).services].flatMap((service) => {
    const port = service.ports.find((each) => each.port === 53 && each.protocol === "UDP");
    const [ip] = service.clusterIPs;
    if (port === undefined || ip === undefined) return [];
    const endpoints = usableEndpoints(chart.dir, service, port, ip.includes(":") ? 6 : 4);
    if (endpoints.length === 0) return [];
    const pods = endpoints.flatMap(({ pod }) => {
      const at = pod === null ? null : (chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.at ?? null);
      return at === null || at.pod === null ? [] : [at];
    });
    const name = `${service.namespace}/${service.name}`;
    return [
      {
        name,
        pods,
        count: endpoints.length,
        source: chart.evidence(service.source, `Service ${name}: ${endpoints.length} ready`),
      },
    ];
  });
}

/** What one name costs, from a pod's own resolv.conf. */
function storms(chart: Chart): { text: string; evidence: Evidence[] } {
  const resolver = clusterDns(chart).resolvers.find((each) => each.ndots > 1 && each.search.length > 0);
  if (resolver === undefined) return { text: "", evidence: [] };
  const questions = 2 * (resolver.search.length + 1);
  const file = `${resolver.ns.dir}/resolv.conf`;
  const line = (chart.snapshot.text(file) ?? "").split("\n").findIndex((each) => each.startsWith("search")) + 1;
  return {
    text: `; an outside name costs ${questions} questions (ndots:${resolver.ndots}, ${resolver.search.length} search domains)`,
    evidence: line > 0 ? [chart.evidence({ file, line })] : [],
  };
}

const MORE_SERVERS = (name: string): string[] => [
  `kubectl -n ${name.split("/")[0]} get deployments   # then more replicas for the one behind service ${name.split("/")[1]}, or NodeLocal DNSCache`,
];

function fewServers(chart: Chart, each: Servers): Suspicion[] {
  const nodes = chart.nodes.length;
  const needed = Math.ceil(nodes / NODES_PER_SERVER);
  // A resolver of its own on every node takes most of the load off the Service.
  const addresses = [...clusterDns(chart).asked.keys()];
  if (
    each.count >= needed ||
    addresses.some((address) => address.startsWith("169.254.") || address.startsWith("fe80:"))
  )
    return [];
  const { text, evidence } = storms(chart);
  const far = 2 * each.count < needed;
  return [
    {
      id: "dns-overload",
      at: "cluster",
      summary: `${each.count} DNS ${each.count === 1 ? "server serves" : "servers serve"} ${nodes} nodes, where one for ${NODES_PER_SERVER} is usual: lookups time out when many pods ask at once${text}`,
      evidence: [each.source, ...evidence],
      remedy: MORE_SERVERS(each.name),
      hurts: [],
      otherwise: far ? "warning" : "info",
    },
  ];
}

function losing(chart: Chart, each: Servers): Suspicion[] {
  return each.pods.flatMap((ns): Suspicion[] => {
    const lost = nstat(chart.snapshot, ns, "UdpRcvbufErrors");
    const received = nstat(chart.snapshot, ns, "UdpInDatagrams");
    if (lost === null || lost.value < NOTICED) return [];
    const percent = (100 * lost.value) / Math.max(1, lost.value + (received?.value ?? 0));
    if (percent < NOTICED_PERCENT) return [];
    const { text, evidence } = storms(chart);
    return [
      {
        id: "dns-overload",
        at: ns.place,
        summary: `The DNS server ${ns.place} lost ${lost.value} datagrams (${percent.toFixed(1)} %) because it did not read them in time, and will lose more whenever as many clients ask${text}`,
        evidence: [chart.evidence(lost.source), ...evidence],
        remedy: MORE_SERVERS(each.name),
        hurts: [],
        otherwise: "warning",
      },
    ];
  });
}

/** Both questions of one lookup leave one socket at once and race for a conntrack entry; the loser's datagram is dropped. */
function racing(chart: Chart): Suspicion[] {
  const dns = new Set([...clusterDns(chart).services].flatMap((service) => service.clusterIPs));
  if (dns.size === 0) return [];
  return chart.hosts.flatMap((host): Suspicion[] => {
    const failed = conntrackStat(chart.snapshot, host, "insert_failed");
    if (failed === null || failed.value < NOTICED) return [];
    const questions = host.conntrack.filter((entry) => entry.proto === UDP && entry.orig.dport === 53).length;
    // Without questions in sight the failures may be anyone's.
    if (questions === 0 || 2 * questions < host.conntrack.length / 10) return [];
    return [
      {
        id: "dns-overload",
        at: host.place,
        summary: `Conntrack on ${host.node} failed to insert ${failed.value} entries, and ${questions} of its ${host.conntrack.length} connections are DNS questions: of two questions that one socket sends at once, one is lost, and the lookup takes five seconds`,
        evidence: [chart.evidence(failed.source)],
        remedy: [
          "# let pods ask with `options single-request-reopen` (glibc) or by TCP (`use-vc`), or run NodeLocal DNSCache, which needs no conntrack",
        ],
        hurts: [],
        otherwise: "warning",
      },
    ];
  });
}

export const dnsOverload: Check = {
  ids: ["dns-overload"],
  depth: "traffic",
  look(chart): Diagnosis {
    const all = servers(chart);
    return {
      suspicions: [...all.flatMap((each) => [...fewServers(chart, each), ...losing(chart, each)]), ...racing(chart)],
    };
  },
};
