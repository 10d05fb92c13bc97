/**
 * What an ingress controller asks of a pod arrives, and no answer comes back: the SYN leaves the controller's node, the reply is lost
 * on another path or the SYN is swallowed by the other end (tcp_tw_recycle, a full backlog). Controllers are told by the Ingresses'
 * status, which holds the addresses of the Service or the nodes in front of them (networking.k8s.io/v1, IngressStatus), or by the labels
 * of the usual ones.
 */
import { formatIp } from "../../model/address.ts";
import type { Pod, Service } from "../../model/cluster.ts";
import { sysctlNumber } from "../../model/sysctl.ts";
import { senderAt } from "../asking.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { ingressBackends } from "../endpointless.ts";
import { namedEndpoints, serviceAt } from "../service-addresses.ts";
import { list, object } from "../../networks/raw.ts";
import { tracedFailures } from "../steps.ts";
import type { Target } from "../target.ts";

const MOST_ASKED = 200;
const MOST_LINES = 5;
const TCP = 6;
/** Seconds after a SYN when a second one has gone out and a live peer would have answered (RFC 6298, initial RTO of 1 s). */
const LATE = 3;
/** Fewer of them are chance. */
const ENOUGH = 3;

const CONTROLLERS: ReadonlySet<string> = new Set([
  "ingress-nginx",
  "nginx-ingress",
  "traefik",
  "haproxy-ingress",
  "kubernetes-ingress",
  "contour",
  "kong",
]);

/** Addresses at which Ingresses are reached, by their status. */
function ingressAddresses(chart: Chart): Set<string> {
  const found = new Set<string>();
  for (const item of chart.snapshot.cluster.raw.get("ingresses.networking.k8s.io") ?? [])
    for (const each of list(object(object(object(item)["status"])["loadBalancer"])["ingress"])) {
      const { ip } = object(each);
      if (typeof ip === "string") found.add(ip);
    }
  return found;
}

function controllers(chart: Chart): Pod[] {
  const addresses = ingressAddresses(chart);
  const found = new Set<Pod>();
  for (const service of chart.dir.services.values()) {
    if (![...service.loadBalancerIPs, ...service.externalIPs, ...service.clusterIPs].some((ip) => addresses.has(ip)))
      continue;
    for (const slice of chart.dir.slices.get(`${service.namespace}/${service.name}`) ?? [])
      for (const { pod } of slice.endpoints) {
        const owner = pod === null ? null : (chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.object ?? null);
        if (owner !== null) found.add(owner);
      }
  }
  for (const pod of chart.snapshot.cluster.pods) {
    const name = pod.labels["app.kubernetes.io/name"] ?? pod.labels["app"] ?? "";
    const published =
      pod.hostIPs.some((ip) => addresses.has(ip)) && pod.ports.some((port) => [80, 443].includes(port.hostPort ?? 0));
    if (CONTROLLERS.has(name) || published) found.add(pod);
  }
  return [...found].filter((pod) => pod.phase === "Running");
}

function backendTargets(chart: Chart, services: readonly Service[]): Target[] {
  return services.flatMap((service) =>
    service.clusterIPs.slice(0, 1).flatMap((ip) =>
      service.ports.flatMap((port) => {
        const target = port.protocol === "TCP" ? serviceAt(chart.dir, "tcp", ip, port.port) : undefined;
        return target === undefined ? [] : [target];
      }),
    ),
  );
}

/** Walks from controllers whose request arrived and whose answer did not. */
function lostAnswers(chart: Chart, pods: readonly Pod[], targets: readonly Target[]): Suspicion[] {
  let asked = 0;
  return pods.flatMap((pod): Suspicion[] => {
    const at = chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.at ?? null;
    const sender = at === null ? undefined : senderAt(chart, at.place);
    if (sender === undefined) return [];
    const hurts: Hurt[] = [];
    let because: Hurt["outcomes"];
    for (const target of targets) {
      if (asked++ >= MOST_ASKED) break;
      const walked = chart.walked(sender, target);
      if (walked.failed.length === 0) continue;
      const lost = tracedFailures(chart, walked).filter(
        ({ client, steps }) => client === "timeout" && steps.some(({ direction }) => direction === "reply"),
      );
      if (lost.length === 0) continue;
      because ??= lost;
      hurts.push(lost.length === walked.failed.length ? { walked } : { walked, outcomes: lost });
    }
    const first = because?.[0]?.because;
    if (hurts.length === 0 || first === undefined) return [];
    return [
      {
        id: "ingress-unanswered",
        at: sender.place,
        summary: `What the ingress controller ${pod.namespace}/${pod.name} asks of ${[...new Set(hurts.map(({ walked }) => walked.target.to))].slice(0, 3).join(", ")} arrives, but the answer is lost: ${first.text}`,
        evidence:
          first.source === undefined
            ? [chart.evidence(pod.source, `Pod ${pod.namespace}/${pod.name}`)]
            : [chart.evidence(first.source)],
        remedy: [`# follow the answer: kubewalk walk SNAPSHOT ${sender.place} ${hurts[0]!.walked.target.to}`],
        hurts,
        otherwise: null,
      },
    ];
  });
}

/** SYNs of controllers that wait in conntrack for an answer longer than a live peer takes. */
function swallowed(
  chart: Chart,
  pods: readonly Pod[],
  services: readonly Service[],
  explained: ReadonlySet<string>,
): Suspicion[] {
  const byAddress = new Map<string, Pod>();
  for (const pod of pods) for (const ip of pod.ips) byAddress.set(ip, pod);
  const backends = new Map<string, Service>();
  for (const service of services)
    for (const port of service.ports)
      for (const each of namedEndpoints(chart.dir, service, port)) backends.set(each, service);
  return chart.hosts.flatMap((host): Suspicion[] => {
    const longest = sysctlNumber(host.sysctls, "net.netfilter.nf_conntrack_tcp_timeout_syn_sent", 120);
    const late = host.conntrack.filter(
      ({ proto, state, status, orig, reply, timeout }) =>
        proto === TCP &&
        state === "SYN_SENT" &&
        status.includes("UNREPLIED") &&
        timeout !== null &&
        timeout <= longest - LATE &&
        byAddress.get(formatIp(orig.src))?.node === host.node &&
        backends.has(`${formatIp(reply.src)} ${reply.sport}`),
    );
    const first = late[0];
    if (late.length < ENOUGH || first === undefined || explained.has(host.node)) return [];
    const pod = byAddress.get(formatIp(first.orig.src));
    const to = [...new Set(late.map(({ reply }) => `${formatIp(reply.src)}:${reply.sport}`))];
    return [
      {
        id: "ingress-unanswered",
        at: host.place,
        summary: `${late.length} SYNs of the ingress controller ${pod?.namespace}/${pod?.name} to ${to.slice(0, 3).join(", ")} have had no answer for ${LATE} s and more, although the path is open: more will be lost as long as the other end swallows them (tcp_tw_recycle, a full backlog)`,
        evidence: late.slice(0, MOST_LINES).map(({ source }) => chart.evidence(source)),
        remedy: [
          "sysctl net.ipv4.tcp_tw_recycle net.ipv4.tcp_max_syn_backlog net.core.somaxconn   # on the nodes and in the pods of the backends",
          "nstat -az TcpExtListenOverflows TcpExtListenDrops TcpExtPAWSPassive   # there, too",
        ],
        hurts: [],
        otherwise: "warning",
      },
    ];
  });
}

export const ingressUnanswered: Check = {
  ids: ["ingress-unanswered"],
  depth: "traffic",
  look(chart): Diagnosis {
    const names = ingressBackends(chart);
    const services = [...names].map((name) => chart.dir.services.get(name)).filter((each) => each !== undefined);
    if (services.length === 0) return { suspicions: [] };
    const pods = controllers(chart);
    const lost = lostAnswers(chart, pods, backendTargets(chart, services));
    return {
      suspicions: [...lost, ...swallowed(chart, pods, services, new Set(lost.map(({ at }) => at.split("/")[0]!)))],
    };
  },
};
