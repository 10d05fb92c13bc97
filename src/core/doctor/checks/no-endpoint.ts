/**
 * A Service port without a usable endpoint: kube-proxy rejects what is sent to it, and drops it where endpoints exist but a traffic
 * policy keeps it on a node that has none (pkg/proxy/iptables/proxier.go, syncProxyRules; KEP-2086 for internalTrafficPolicy).
 */
import type { Service, ServicePort } from "../../model/cluster.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { clusterDns } from "../cluster-dns.ts";
import { ingressBackends, whyEndpointless, type Endpointless } from "../endpointless.ts";
import { usableEndpoints } from "../expect.ts";

const portName = (service: Service, port: ServicePort): string =>
  `${service.namespace}/${service.name}${port.name === "" ? "" : `:${port.name}`}`;

const familiesOf = (service: Service): (4 | 6)[] => [
  ...new Set(service.clusterIPs.map((ip): 4 | 6 => (ip.includes(":") ? 6 : 4))),
];

/** Failed walks to every Service, expected ones as well. */
function failuresByService(chart: Chart): Map<Service, Walked[]> {
  const found = new Map<Service, Walked[]>();
  for (const walked of chart.survey) {
    const { aim } = walked.target;
    if (walked.failed.length === 0 || aim.kind !== "service") continue;
    const list = found.get(aim.service);
    if (list === undefined) found.set(aim.service, [walked]);
    else list.push(walked);
  }
  return found;
}

/** Whether someone counts on the Service, so that its emptiness is no one's intention. */
function wanted(service: Service, reason: Endpointless, ingress: ReadonlySet<string>): boolean {
  switch (reason.why) {
    case "unready":
    case "port":
    case "misspelt":
    case "unmade":
    case "nothing":
      return true;
    case "paused":
      return false;
    case "manual":
      return (
        service.type === "NodePort" ||
        service.type === "LoadBalancer" ||
        service.externalIPs.length > 0 ||
        ingress.has(`${service.namespace}/${service.name}`)
      );
  }
}

/** Nobody at all stands behind these ports. */
function empty(
  chart: Chart,
  service: Service,
  ports: readonly ServicePort[],
  walks: readonly Walked[],
  ingress: ReadonlySet<string>,
): Suspicion {
  const reason = whyEndpointless(chart, service, ports[0]);
  const some = ports.length < service.ports.length;
  const name = some ? ports.map((port) => portName(service, port)).join(", ") : `${service.namespace}/${service.name}`;
  const hurts: Hurt[] = walks
    .filter(({ target: { aim } }) => aim.kind === "service" && ports.includes(aim.port))
    .map((walked) => ({ walked }));
  const matters = wanted(service, reason, ingress);
  return {
    // Pods are there, but not the port that the Service means.
    id: reason.why === "port" ? "wrong-target-port" : "no-endpoint",
    at: "cluster",
    summary: `Service ${name} has no endpoint that is ready, so whoever asks it is refused: ${reason.text}`,
    evidence: reason.evidence,
    remedy: reason.remedy,
    hurts,
    otherwise: matters ? "warning" : "info",
    intended: !matters,
  };
}

/** Endpoints, but none on nodes to which internalTrafficPolicy confines clients: as asked for, so no error. */
function confined(chart: Chart, service: Service, walks: readonly Walked[]): Suspicion[] {
  if (service.internalTrafficPolicy !== "Local") return [];
  const hurts = walks.filter(
    ({ target: { aim }, expected }) => aim.kind === "service" && aim.way === "clusterIP" && !expected.answer,
  );
  if (hurts.length === 0) return [];
  const nodes = [...new Set(hurts.map(({ sender }) => sender.node))].toSorted();
  return [
    {
      id: "no-endpoint",
      at: "cluster",
      summary: `Service ${service.namespace}/${service.name} keeps clients to their own node (internalTrafficPolicy: Local), and ${nodes.join(", ")} ${nodes.length === 1 ? "has" : "have"} no endpoint of it`,
      evidence: [
        chart.evidence(service.source, `Service ${service.namespace}/${service.name}: internalTrafficPolicy Local`),
      ],
      remedy: [
        `kubectl -n ${service.namespace} patch service ${service.name} -p '{"spec":{"internalTrafficPolicy":"Cluster"}}'   # unless it is meant to be so`,
      ],
      hurts: hurts.map((walked) => ({ walked })),
      // Asked for, and yet whoever asks from there gets no answer.
      otherwise: "warning",
      intended: true,
    },
  ];
}

export const noEndpoint: Check = {
  ids: ["no-endpoint"],
  depth: "service",
  look(chart): Diagnosis {
    const { missing } = chart.snapshot.cluster;
    const why = missing.get("endpointslices.discovery.k8s.io") ?? missing.get("services");
    if (why !== undefined) return { suspicions: [], unknown: [{ id: "no-endpoint", at: "cluster", why }] };
    const walks = failuresByService(chart);
    const ingress = ingressBackends(chart);
    const dns = clusterDns(chart).services;
    const suspicions = [...chart.dir.services.values()].flatMap((service): Suspicion[] => {
      // What a cluster without DNS suffers is a finding of its own.
      if (service.headless || service.clusterIPs.length === 0 || dns.has(service)) return [];
      const failed = walks.get(service) ?? [];
      const ports = service.ports.filter((port) =>
        familiesOf(service).every((family) => usableEndpoints(chart.dir, service, port, family).length === 0),
      );
      return ports.length > 0 ? [empty(chart, service, ports, failed, ingress)] : confined(chart, service, failed);
    });
    return { suspicions };
  },
};
