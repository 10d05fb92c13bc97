/**
 * A UDP client that keeps sending from one port keeps its conntrack entry alive, and with it the backend that was chosen first: when
 * that pod is gone, the datagrams go on to its address until the entry is deleted. kube-proxy does that for endpoints that it saw
 * removed (pkg/proxy/conntrack/cleanup.go); a race, a restart or a dead kube-proxy leaves the entry.
 */
import { formatIp } from "../../model/address.ts";
import type { CtEntry } from "../../model/conntrack.ts";
import type { Namespace } from "../../model/namespace.ts";
import { senderOf, walkedFromPort } from "../asking.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { usableEndpoints } from "../expect.ts";
import { namedEndpoints, serviceAt, type ServiceTarget } from "../service-addresses.ts";

const UDP = 17;
/** Walks asked at most, lines shown and entries deleted one by one at most. */
const MOST_ASKED = 100;
const MOST_LINES = 5;

interface Stale {
  entry: CtEntry;
  target: ServiceTarget;
  backend: string;
  /** It was never rewritten: made while the Service had no rules. */
  unchanged: boolean;
}

/** Live holders of an address: pods that run, and machines. */
function liveAddresses(chart: Chart): Set<string> {
  const live = new Set<string>();
  for (const pod of chart.snapshot.cluster.pods)
    if (pod.phase !== "Succeeded" && pod.phase !== "Failed") for (const ip of pod.ips) live.add(ip);
  for (const ns of chart.snapshot.namespaces)
    for (const link of ns.links) for (const { ip } of link.addresses) live.add(formatIp(ip));
  return live;
}

function staleOf(chart: Chart, entry: CtEntry, live: () => Set<string>): Stale | null {
  if (entry.proto !== UDP) return null;
  const target = serviceAt(chart.dir, "udp", formatIp(entry.orig.dst), entry.orig.dport);
  if (target === undefined) return null;
  const { service, port, way } = target.aim;
  const backend = formatIp(entry.reply.src);
  // Without rules for it a load balancer's or external address may be reached past the node; a clusterIP never is.
  const unchanged = backend === formatIp(entry.orig.dst) && entry.reply.sport === entry.orig.dport;
  if (unchanged) {
    const usable = usableEndpoints(chart.dir, service, port, entry.family).length > 0;
    return usable && way === "clusterIP" ? { entry, target, backend, unchanged } : null;
  }
  const named = namedEndpoints(chart.dir, service, port);
  if (named.has(`${backend} ${entry.reply.sport}`)) return null;
  // Whoever has the address now may be newer than the slices, or got the packet by another rule (hostPort).
  return live().has(backend) ? null : { entry, target, backend, unchanged };
}

function suspicion(chart: Chart, host: Namespace, target: ServiceTarget, stale: readonly Stale[]): Suspicion {
  const { service, port } = target.aim;
  const name = `${service.namespace}/${service.name}${port.name === "" ? "" : `:${port.name}`}`;
  const clients = [...new Set(stale.map(({ entry }) => formatIp(entry.orig.src)))];
  const backends = [...new Set(stale.map(({ backend, entry }) => `${backend}:${entry.reply.sport}`))];
  const hurts = stale.slice(0, MOST_ASKED).flatMap(({ entry, target: asked }): Hurt[] => {
    const sender = senderOf(chart, formatIp(entry.orig.src));
    if (sender === undefined) return [];
    const walked = walkedFromPort(chart, sender, asked, entry.orig.sport);
    // Only from this port: what part of the client's connections that is, nobody can tell.
    return walked.failed.length > 0
      ? [{ walked, outcomes: walked.failed.map((each) => ({ ...each, share: null })) }]
      : [];
  });
  const longest = Math.max(...stale.map(({ entry }) => entry.timeout ?? 0));
  const only = stale.length === 1 ? stale[0]?.entry : undefined;
  const where = `${target.address} --dport ${target.port}`;
  return {
    id: "stale-udp-conntrack",
    at: host.place,
    summary: stale[0]?.unchanged
      ? `${stale.length} UDP ${stale.length === 1 ? "connection" : "connections"} on ${host.node} to Service ${name} from ${clients.slice(0, 3).join(", ")} began when it had no endpoint, and ${stale.length === 1 ? "is" : "are"} still not led to one while the client keeps its port`
      : `UDP from ${clients.slice(0, 3).join(", ")}${clients.length > 3 ? ` and ${clients.length - 3} more` : ""} to Service ${name} still goes to ${backends.slice(0, 3).join(", ")}, which is gone: conntrack on ${host.node} keeps ${stale.length === 1 ? "the entry" : `${stale.length} entries`} as long as the client sends from that port (${longest} s more)`,
    evidence: stale.slice(0, MOST_LINES).map(({ entry }) => chart.evidence(entry.source)),
    remedy:
      only === undefined
        ? [`conntrack -D -p udp -d ${where}`]
        : [`conntrack -D -p udp -s ${formatIp(only.orig.src)} --sport ${only.orig.sport} -d ${where}`],
    hurts,
    otherwise: "warning",
  };
}

export const staleUdpConntrack: Check = {
  ids: ["stale-udp-conntrack"],
  depth: "traffic",
  look(chart): Diagnosis {
    const why =
      chart.snapshot.cluster.missing.get("endpointslices.discovery.k8s.io") ??
      chart.snapshot.cluster.missing.get("services");
    if (why !== undefined) return { suspicions: [], unknown: [{ id: "stale-udp-conntrack", at: "cluster", why }] };
    let held: Set<string> | null = null;
    const live = (): Set<string> => (held ??= liveAddresses(chart));
    return {
      suspicions: chart.hosts.flatMap((host) => {
        const byTarget = new Map<string, { target: ServiceTarget; stale: Stale[] }>();
        for (const entry of host.conntrack) {
          const one = staleOf(chart, entry, live);
          if (one === null) continue;
          const key = `${one.target.address} ${one.target.port} ${one.unchanged}`;
          const group = byTarget.get(key);
          if (group === undefined) byTarget.set(key, { target: one.target, stale: [one] });
          else group.stale.push(one);
        }
        return [...byTarget.values()].map(({ target, stale }) => suspicion(chart, host, target, stale));
      }),
    };
  },
};
