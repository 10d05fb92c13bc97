/**
 * externalTrafficPolicy Local, and the fabric or load balancer sends the Service's traffic to a node without an endpoint: kube-proxy
 * drops it there (pkg/proxy/iptables/proxier.go: "has no local endpoints"), so that load balancers which heed healthCheckNodePort stay
 * away; those that do not lose every connection that they send there.
 */
import type { Service } from "../../model/cluster.ts";
import type { Outcome, Step } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { usableEndpoints } from "../expect.ts";
import { tracedFailures, type Traced } from "../steps.ts";

/** Chains in which kube-proxy refuses what has no endpoint, by either of its rule modes; its IPVS drops by itself. */
const REFUSES =
  /^(KUBE-(EXTERNAL-)?SERVICES|KUBE-PROXY-FIREWALL|KUBE-NODEPORTS|KUBE-(SVL|XLB|EXT)-.*|(service|nodeport)-endpoints-check|external-.*|reject-chain)$/;

const decidedIn = (outcome: Traced): Step | undefined => {
  const { source } = outcome.because;
  return source === undefined
    ? undefined
    : outcome.steps.findLast((step) => step.source?.file === source.file && step.source.line === source.line);
};

interface Lost {
  node: string;
  service: Service;
  hurts: Hurt[];
  steps: Step[];
}

/** Where kube-proxy refused a failed walk for want of a local endpoint. */
function refusals(chart: Chart, walked: Walked): { node: string; outcome: Traced; step: Step }[] {
  const { aim, address } = walked.target;
  if (aim.kind !== "service") return [];
  const usable = usableEndpoints(chart.dir, aim.service, aim.port, address.includes(":") ? 6 : 4);
  // Steps cost another walk: only where a node without an endpoint decided.
  const elsewhere = ({ because: { source } }: Outcome): boolean =>
    source === undefined || usable.some((each) => source.file.startsWith(`nodes/${each.node}/`));
  if (walked.failed.every(elsewhere)) return [];
  return tracedFailures(chart, walked).flatMap((outcome) => {
    const step = decidedIn(outcome);
    if (step === undefined) return [];
    const [node, kind] = step.at.split("/");
    if (node === undefined || kind !== "host" || !chart.dir.nodes.has(node)) return [];
    const refused = step.chain !== undefined ? REFUSES.test(step.chain) : step.kind === "program";
    return refused && !usable.some((each) => each.node === node) ? [{ node, outcome, step }] : [];
  });
}

export const noLocalEndpoint: Check = {
  ids: ["no-local-endpoint"],
  depth: "service",
  look(chart): Diagnosis {
    const lost = new Map<string, Lost>();
    for (const walked of chart.failures) {
      const { aim } = walked.target;
      if (aim.kind !== "service" || aim.service.externalTrafficPolicy !== "Local") continue;
      if (aim.way === "clusterIP") continue;
      for (const { node, outcome, step } of refusals(chart, walked)) {
        const key = `${node} ${aim.service.namespace}/${aim.service.name}`;
        const entry = lost.get(key) ?? { node, service: aim.service, hurts: [], steps: [] };
        const same = walked.failed.filter(
          (each) =>
            each.because.source?.line === outcome.because.source?.line &&
            each.because.source?.file === outcome.because.source?.file,
        );
        entry.hurts.push(
          same.length === walked.failed.length || same.length === 0 ? { walked } : { walked, outcomes: same },
        );
        entry.steps.push(step);
        lost.set(key, entry);
      }
    }
    return {
      suspicions: [...lost.values()].map(({ node, service, hurts, steps }): Suspicion => {
        const name = `${service.namespace}/${service.name}`;
        const addresses = [...new Set(hurts.map(({ walked }) => walked.target.address))];
        const having = [
          ...new Set(
            (chart.dir.slices.get(name) ?? []).flatMap((slice) =>
              slice.endpoints.filter((each) => each.ready).map((each) => each.node),
            ),
          ),
        ]
          .filter((each) => each !== null)
          .toSorted();
        const first = steps[0];
        return {
          id: "no-local-endpoint",
          at: `${node}/host`,
          summary: `${addresses.join(", ")} of Service ${name} is led to ${node}, which has no endpoint of it and keeps the traffic to itself (externalTrafficPolicy: Local); ${having.join(", ")} ${having.length === 1 ? "has" : "have"} one`,
          evidence: [
            ...(first?.source === undefined ? [] : [chart.evidence(first.source, first.text)]),
            chart.evidence(
              service.source,
              `Service ${name}: externalTrafficPolicy Local, healthCheckNodePort ${service.healthCheckNodePort ?? "none"}`,
            ),
          ],
          remedy: [
            ...(service.healthCheckNodePort == null
              ? []
              : [
                  `# let whatever leads ${addresses.join(", ")} to nodes ask http://NODE:${service.healthCheckNodePort}/healthz and leave out those that answer 503`,
                ]),
            `kubectl -n ${service.namespace} patch service ${service.name} -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'   # or this, which hides clients' addresses`,
          ],
          hurts,
          otherwise: null,
        };
      }),
    };
  },
};
