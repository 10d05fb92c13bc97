/**
 * A load balancer asks healthCheckNodePort which nodes have an endpoint of a Service with externalTrafficPolicy Local, and passes a good
 * node over when the port is blocked there or nobody serves it (pkg/proxy/healthcheck/service_health.go).
 */
import { senderAt } from "../asking.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { usableEndpoints } from "../expect.ts";
import { listeners } from "../listening.ts";
import { serviceAt } from "../service-addresses.ts";

/** Walks asked at most. */
const MOST_ASKED = 100;

/** Whether a walk ended at a decision of the node itself. */
const decidedOn = (walked: Walked, node: string): boolean =>
  walked.failed.some(({ because }) => because.source?.file.startsWith(`nodes/${node}/`) === true);

function healthChecks(chart: Chart): Suspicion[] {
  let asked = 0;
  return [...chart.dir.services.values()].flatMap((service): Suspicion[] => {
    const port = service.healthCheckNodePort ?? null;
    if (port === null || service.externalTrafficPolicy !== "Local") return [];
    const name = `${service.namespace}/${service.name}`;
    const serving = chart.hosts.filter((host) => listeners(host, "tcp").some((socket) => socket.port === port));
    return chart.hosts.flatMap((host): Suspicion[] => {
      const { node } = host;
      const local = service.ports.some((each) =>
        usableEndpoints(chart.dir, service, each, 4)
          .concat(usableEndpoints(chart.dir, service, each, 6))
          .some((endpoint) => endpoint.node === node),
      );
      if (!local) return [];
      const own = chart.evidence(service.source, `Service ${name}: healthCheckNodePort ${port}`);
      if (!serving.includes(host)) {
        // Where no node serves it another program than kube-proxy is at work.
        if (serving.length === 0 || host.missing.has("sockets") || host.sockets.length === 0) return [];
        return [
          {
            id: "affinity-dead-backend",
            at: host.place,
            summary: `Nobody on ${node} answers the load balancer's health check on port ${port} for Service ${name}, so the balancer will pass the node over although it has an endpoint`,
            evidence: [
              own,
              chart.evidence(serving[0]?.sockets.find((socket) => socket.port === port)?.source ?? service.source),
            ],
            remedy: [`curl -s http://localhost:${port}/healthz   # on ${node}; kube-proxy serves it: is it running?`],
            hurts: [],
            otherwise: "warning",
          },
        ];
      }
      const address = chart.dir.nodes.get(node)?.addresses.find((each) => each.type === "InternalIP")?.address;
      const [nodePort] = service.ports.map((each) => each.nodePort).filter((each) => each !== null);
      if (address === undefined || nodePort === undefined) return [];
      const traffic = serviceAt(chart.dir, (service.ports[0]?.protocol ?? "TCP").toLowerCase(), address, nodePort);
      const hurts = (chart.snapshot.fabric?.external ?? []).flatMap((outside): Hurt[] => {
        const sender = senderAt(chart, `${outside}/host`);
        if (sender === undefined || traffic === undefined || asked >= MOST_ASKED) return [];
        asked++;
        const walked = chart.walked(sender, {
          aim: { kind: "node", node },
          to: `${address.includes(":") ? `[${address}]` : address}:${port}`,
          proto: "tcp",
          address,
          port,
        });
        // Only someone whose traffic the node takes tells anything about the balancer.
        if (walked.failed.length === 0 || !decidedOn(walked, node) || chart.walked(sender, traffic).failed.length > 0)
          return [];
        return [{ walked }];
      });
      const source = hurts[0]?.walked.failed.find(({ because }) => because.source !== undefined)?.because.source;
      if (hurts.length === 0 || source === undefined) return [];
      return [
        {
          id: "affinity-dead-backend",
          at: host.place,
          summary: `${node} takes the traffic of Service ${name}, but not the load balancer's health check on port ${port}, so the balancer will pass the node over`,
          evidence: [chart.evidence(source), own],
          remedy: [`# let the filter on ${node} accept tcp port ${port} from the load balancer`],
          hurts,
          otherwise: null,
        },
      ];
    });
  });
}

export const healthCheckPort: Check = {
  ids: ["affinity-dead-backend"],
  depth: "rules",
  look(chart): Diagnosis {
    const { missing } = chart.snapshot.cluster;
    if (missing.has("endpointslices.discovery.k8s.io") || missing.has("services")) return { suspicions: [] };
    return { suspicions: healthChecks(chart) };
  },
};
