/**
 * A node's rules for Services are not those that the Services' EndpointSlices ask for: they lead to endpoints that are gone, or lack
 * ones that are ready. kube-proxy hangs, is dead, or has lost its connection to the API server; or someone flushed its chains, which
 * it notices by KUBE-PROXY-CANARY (pkg/util/iptables, Monitor).
 */
import type { Pod, ServicePort } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Step } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { emptyRules, serviceRules, type ServiceRules } from "../service-rules.ts";
import { AlikeTables } from "../alike-rules.ts";
import { compare, heldAddresses, wantedPorts, type Stale } from "../stale-services.ts";
import { failedThrough } from "../steps.ts";
import type { Evidence, Undecided } from "../types.ts";

/** Failed walks whose steps are looked at, for each node; of the others it counts whom they were for. */
const MOST_TRACED = 300;
/** Lines of evidence of each kind. */
const MOST_LINES = 4;

const hitsLine =
  (lines: ReadonlySet<string>) =>
  (step: Step): boolean =>
    step.source !== undefined && lines.has(`${step.source.file}:${step.source.line}`);

/** Failed walks to the stale Service ports that met the node's rules for them. */
function hurtBy(chart: Chart, host: Namespace, stale: readonly Stale[], everything: boolean): Hurt[] {
  // A Service port has rules of its own in each family.
  const ports: Record<4 | 6, Map<ServicePort, Stale>> = { 4: new Map(), 6: new Map() };
  for (const each of stale) ports[each.wanted.family].set(each.wanted.port, each);
  const staleAt = ({ target: { aim, address } }: Walked): Stale | undefined =>
    aim.kind === "service" ? ports[address.includes(":") ? 6 : 4].get(aim.port) : undefined;
  const candidates = chart.failures.filter(
    (walked) => walked.target.aim.kind === "service" && (everything || staleAt(walked) !== undefined),
  );
  let traced = 0;
  return candidates.flatMap((walked): Hurt[] => {
    const { aim } = walked.target;
    const near = walked.sender.node === host.node || (aim.kind === "service" && aim.node === host.node);
    const each = staleAt(walked);
    if (everything || each?.absent === true) return near ? [{ walked }] : [];
    if (each === undefined) return [];
    if (traced++ >= MOST_TRACED) return near ? [{ walked }] : [];
    const lines = new Set(
      [
        ...each.gone.map(([, source]) => source),
        ...(each.lacking.length > 0 && each.source !== null ? [each.source] : []),
      ].map(({ file, line }) => `${file}:${line}`),
    );
    const met = failedThrough(chart, walked, hitsLine(lines));
    if (met.length === 0) return [];
    return met.length === walked.failed.length ? [{ walked }] : [{ walked, outcomes: met }];
  });
}

function restart(chart: Chart, node: string): string[] {
  const pod = proxyPod(chart, node);
  return pod === undefined
    ? ["systemctl restart kube-proxy   # or however kube-proxy is run on the node"]
    : [`kubectl -n ${pod.namespace} logs ${pod.name} --tail=50`, `kubectl -n ${pod.namespace} delete pod ${pod.name}`];
}

const some = (texts: readonly string[]): string =>
  texts.length <= 3 ? texts.join(", ") : `${texts.slice(0, 3).join(", ")} and ${texts.length - 3} more`;

/** In both families a Service port has one name. */
const namesOf = (stale: readonly Stale[]): string => some([...new Set(stale.map(({ wanted }) => wanted.name))]);

function suspicion(chart: Chart, host: Namespace, rules: ServiceRules, stale: readonly Stale[]): Suspicion {
  const { node } = host;
  const gone = stale.filter((each) => each.gone.length > 0);
  const lacking = stale.filter((each) => each.lacking.length > 0 && !each.absent);
  const absent = stale.filter((each) => each.absent);
  const parts = [
    ...(gone.length === 0
      ? []
      : [
          `lead ${namesOf(gone)} to endpoints that are gone (${some([...new Set(gone.flatMap((each) => each.gone.map(([text]) => text)))])})`,
        ]),
    ...(lacking.length === 0
      ? []
      : [
          `lack ready endpoints of ${namesOf(lacking)} (${some([...new Set(lacking.flatMap((each) => each.lacking))])})`,
        ]),
    ...(absent.length === 0 ? [] : [`have nothing for ${namesOf(absent)}`]),
    ...rules.unreached.map(({ text }) => `are not reached: ${text}`),
  ];
  const evidence: Evidence[] = [
    ...gone.flatMap((each) => each.gone.slice(0, 1).map(([, source]) => chart.evidence(source))).slice(0, MOST_LINES),
    ...[...lacking, ...absent].slice(0, MOST_LINES).flatMap((each) => {
      const [slice] = chart.dir.slices.get(`${each.wanted.service.namespace}/${each.wanted.service.name}`) ?? [];
      return slice === undefined
        ? []
        : [
            chart.evidence(
              slice.source,
              `EndpointSlice ${slice.namespace}/${slice.name}: ${some([...each.wanted.usable.keys()])}`,
            ),
          ];
    }),
    ...[...rules.unreached, ...rules.canaries].map(({ text, source }) => chart.evidence(source, text)),
  ];
  return {
    id: "kube-proxy-stale",
    at: host.place,
    summary: `kube-proxy on ${node} has fallen behind: its rules ${parts.join(", and ")}`,
    evidence,
    remedy: restart(chart, node),
    hurts: hurtBy(chart, host, stale, rules.unreached.length > 0),
    otherwise: "warning",
  };
}

const proxyPod = (chart: Chart, node: string): Pod | undefined =>
  chart.snapshot.cluster.pods.find(
    (pod) => pod.node === node && /^kube-proxy(-|$)/.test(pod.labels["k8s-app"] ?? pod.labels["app"] ?? pod.name),
  );

/** Whether kube-proxy should be at work on the node: it was recorded running, or runs there as a pod. */
function shouldRun(chart: Chart, node: string): boolean {
  const machine = chart.site.machines.find((each) => each.name === node);
  return machine?.command("kube-proxy") != null || proxyPod(chart, node) !== undefined;
}

/** Cilium in kube-proxy's place: what is left of kube-proxy's rules then means nothing. */
const isReplaced = (chart: Chart, host: Namespace): boolean =>
  host.links.some((link) => link.name === "cilium_host") && !shouldRun(chart, host.node);

export const kubeProxyStale: Check = {
  ids: ["kube-proxy-stale"],
  depth: "rules",
  look(chart): Diagnosis {
    const { missing } = chart.snapshot.cluster;
    const why = missing.get("endpointslices.discovery.k8s.io") ?? missing.get("services");
    if (why !== undefined) return { suspicions: [], unknown: [{ id: "kube-proxy-stale", at: "cluster", why }] };
    const suspicions: Suspicion[] = [];
    const unknown: Undecided[] = [];
    const wanted = wantedPorts(chart);
    const tablesMet = new AlikeTables();
    let held: Set<string> | null = null;
    for (const host of chart.hosts) {
      if (isReplaced(chart, host)) continue;
      const rules = serviceRules(host, tablesMet);
      const virtual = rules?.mode === "ipvs" ? host.missing.get("ipvs") : undefined;
      if (virtual !== undefined) {
        unknown.push({ id: "kube-proxy-stale", at: host.place, why: virtual });
        continue;
      }
      const unread = host.missing.get("iptables") ?? host.missing.get("nft");
      if (rules === null) {
        if (!shouldRun(chart, host.node)) continue;
        if (unread !== undefined) {
          unknown.push({ id: "kube-proxy-stale", at: host.place, why: unread });
          continue;
        }
      }
      const found = rules ?? emptyRules();
      const families = new Set([...found.entries.keys()].map((key) => (key.includes(":") ? 6 : 4)));
      const stale = wanted.flatMap((each) => {
        // A family whose tables could not be read says nothing.
        if (
          rules !== null &&
          !families.has(each.family) &&
          (host.missing.has("ip6tables") || host.missing.has("iptables"))
        )
          return [];
        const one = compare(host.node, found, each, (held ??= heldAddresses(chart)));
        return one === null ? [] : [one];
      });
      if (stale.length > 0 || found.unreached.length > 0) suspicions.push(suspicion(chart, host, found, stale));
      else if (found.canaries.length > 0)
        suspicions.push({
          id: "kube-proxy-stale",
          at: host.place,
          summary: `${found.canaries.map(({ text }) => text).join(", ")} on ${host.node}: kube-proxy did not put it back, though its other rules are complete`,
          evidence: found.canaries.map(({ source, text }) => chart.evidence(source, text)),
          remedy: restart(chart, host.node),
          hurts: [],
          otherwise: "info",
        });
    }
    return { suspicions, unknown };
  },
};
