/**
 * The cluster's DNS answers nobody: the Service that pods' resolv.conf names has no ready endpoint, or is not there. Names then fail
 * at once (kube-proxy rejects) or after the resolver's five seconds.
 */
import type { Service } from "../../model/cluster.ts";
import { inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { clusterDns, type ClusterDns } from "../cluster-dns.ts";
import { whyEndpointless } from "../endpointless.ts";
import { usableEndpoints } from "../expect.ts";
import { list, object } from "../../networks/raw.ts";
import type { Evidence } from "../types.ts";

function askers(chart: Chart, dns: ClusterDns, addresses: readonly string[]): Evidence[] {
  const found = addresses.flatMap((address) =>
    (dns.asked.get(address) ?? []).map((resolver) => ({ resolver, address })),
  );
  const first = found[0];
  const source = first?.resolver.nameservers.find((each) => each.address === first.address)?.source;
  return source === undefined ? [] : [chart.evidence(source)];
}

function withoutEndpoint(chart: Chart, dns: ClusterDns, service: Service): Suspicion[] {
  const ports = service.ports.filter((port) => port.port === 53);
  const dead = service.clusterIPs.every((ip) =>
    ports.every((port) => usableEndpoints(chart.dir, service, port, ip.includes(":") ? 6 : 4).length === 0),
  );
  if (!dead) return [];
  const reason = whyEndpointless(chart, service);
  const hurts = chart.survey.flatMap((walked): Hurt[] =>
    walked.failed.length > 0 && walked.target.aim.kind === "service" && walked.target.aim.service === service
      ? [{ walked }]
      : [],
  );
  const pods = new Set(service.clusterIPs.flatMap((ip) => (dns.asked.get(ip) ?? []).map(({ ns }) => ns.place)));
  const who = pods.size === 0 ? "pods" : `${pods.size} ${pods.size === 1 ? "pod" : "pods"}`;
  return [
    {
      id: "dns-down",
      at: "cluster",
      summary: `No DNS server is ready behind ${service.namespace}/${service.name}, which ${who} ask for every name: ${reason.text}`,
      evidence: [...reason.evidence, ...askers(chart, dns, service.clusterIPs)],
      remedy: reason.remedy,
      hurts,
      otherwise: "warning",
    },
  ];
}

/** Prefixes that Services get their addresses from, as far as objects say it. */
function serviceRanges(chart: Chart): string[] {
  return (chart.snapshot.cluster.raw.get("servicecidrs.networking.k8s.io") ?? []).flatMap((item) =>
    list(object(object(item)["spec"])["cidrs"]).filter((each) => typeof each === "string"),
  );
}

/** Pods ask an address of the Services' range that no Service has. */
function withoutService(chart: Chart, dns: ClusterDns): Suspicion[] {
  if (chart.snapshot.cluster.missing.has("services")) return [];
  const ranges = serviceRanges(chart)
    .map((each) => parsePrefix(each))
    .filter((each) => each !== null);
  const taken = new Set([...chart.dir.services.values()].flatMap((service) => service.clusterIPs));
  return [...dns.asked].flatMap(([address, resolvers]): Suspicion[] => {
    const ip = parseIp(address);
    if (ip === null || taken.has(address) || !ranges.some((range) => inPrefix(ip, range))) return [];
    const hurts = resolvers.flatMap(({ ns }): Hurt[] => {
      const sender = { place: ns.place, kind: "pod" as const, node: ns.node, pod: null, families: new Set([ip.v]) };
      const walked = chart.walked(sender, {
        aim: { kind: "outside", place: ns.place },
        to: `${address}:53/udp`,
        proto: "udp",
        address,
        port: 53,
      });
      return walked.failed.length > 0 ? [{ walked }] : [];
    });
    return [
      {
        id: "dns-down",
        at: "cluster",
        summary: `${resolvers.length} ${resolvers.length === 1 ? "pod asks" : "pods ask"} ${address} for every name, an address of the Services' range that no Service has`,
        evidence: askers(chart, dns, [address]),
        remedy: [
          `kubectl -n kube-system get services   # is the DNS Service gone, or was it made anew with another address? kubelet's clusterDNS must name its clusterIP`,
        ],
        hurts: hurts.slice(0, MOST_ASKED),
        otherwise: "warning",
      },
    ];
  });
}

/** One walk a pod is plenty. */
const MOST_ASKED = 200;

export const dnsDown: Check = {
  ids: ["dns-down"],
  depth: "service",
  look(chart): Diagnosis {
    const why = chart.snapshot.cluster.missing.get("endpointslices.discovery.k8s.io");
    if (why !== undefined) return { suspicions: [], unknown: [{ id: "dns-down", at: "cluster", why }] };
    const dns = clusterDns(chart);
    return {
      suspicions: [
        ...[...dns.services].flatMap((service) => withoutEndpoint(chart, dns, service)),
        ...withoutService(chart, dns),
      ],
    };
  },
};
