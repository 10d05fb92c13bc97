/**
 * Session affinity holds a client to a backend that is dead: kube-proxy's rules send whoever is in an endpoint's list (`recent
 * --rcheck`, nftables' affinity sets) back to it, whether it answers or not, until the time is over.
 */
import { formatIp } from "../../model/address.ts";
import type { Service } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Source } from "../../model/source.ts";
import type { Step } from "../../model/walk.ts";
import { senderAt } from "../asking.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { usableEndpoints } from "../expect.ts";
import { backendText } from "../service-rules.ts";
import { tracedFailures, type Traced } from "../steps.ts";

const MOST_LINES = 4;

/** The rule by which a list or set of clients leads to its endpoint. */
const HOLDS = /--rcheck .*--name KUBE-SEP-|saddr @affinity-/;

/** Where affinity sent a failed walk to `port`: the rule, and the endpoint to which its chain rewrote, whose port may be the same. */
function held(outcome: Traced, port: number): { rule: Step; backend: string } | null {
  const at = outcome.steps.findIndex((step) => step.kind === "rule" && HOLDS.test(step.text));
  const rule = outcome.steps[at];
  const changed = outcome.steps
    .slice(at)
    .find((step) => step.kind === "rule" && step.changed?.dst !== undefined)?.changed;
  if (at < 0 || rule === undefined || changed?.dst === undefined) return null;
  return { rule, backend: backendText(changed.dst, changed.dport ?? port) };
}

interface Pinned {
  at: string;
  service: Service;
  backend: string;
  source: Source | null;
  hurts: Hurt[];
}

/** Whether an endpoint that is ready does not even answer its own node: then it is dead, and not just the way there. */
function deadAtHome(chart: Chart, service: Service, backend: string): boolean {
  const endpoints = (chart.dir.slices.get(`${service.namespace}/${service.name}`) ?? []).flatMap(
    (slice) => slice.endpoints,
  );
  const address = backend.slice(0, backend.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const home = endpoints.find((each) => each.addresses[0] === address);
  const sender = home?.node == null ? undefined : senderAt(chart, `${home.node}/host`);
  if (home === undefined || sender === undefined) return false;
  const port = Number(backend.slice(backend.lastIndexOf(":") + 1));
  const proto = service.ports[0]?.protocol === "UDP" ? "udp" : "tcp";
  const { answer } = chart.walked(sender, {
    aim: { kind: "node", node: sender.node },
    to: backend,
    proto,
    address,
    port,
  });
  // Anything else on the way may be at fault even there.
  return answer.outcomes.every(
    ({ disposition }) => disposition === "no-listener" || disposition === "neighbour-unreachable",
  );
}

function pinnedWalks(chart: Chart, usable: ReadonlySet<string>): Map<string, Pinned> {
  const dead = new Map<string, boolean>();
  const found = new Map<string, Pinned>();
  for (const walked of chart.failures) {
    const { aim } = walked.target;
    if (aim.kind !== "service" || aim.service.sessionAffinity !== "ClientIP") continue;
    for (const outcome of tracedFailures(chart, walked)) {
      const pin = held(outcome, walked.target.port ?? 0);
      if (pin === null) continue;
      if (usable.has(pin.backend)) {
        const known = dead.get(pin.backend) ?? deadAtHome(chart, aim.service, pin.backend);
        dead.set(pin.backend, known);
        if (!known) continue;
      }
      const key = `${pin.rule.at} ${pin.backend} ${aim.service.namespace}/${aim.service.name}`;
      const entry = found.get(key) ?? {
        at: pin.rule.at,
        service: aim.service,
        backend: pin.backend,
        source: pin.rule.source ?? null,
        hurts: [],
      };
      if (!entry.hurts.some((hurt) => hurt.walked === walked)) entry.hurts.push({ walked });
      found.set(key, entry);
    }
  }
  return found;
}

const isRecord = (value: NftJson | undefined): value is { [key: string]: NftJson } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Clients in a node's affinity lists, by the endpoint that they are held to. */
function lists(host: Namespace): { backend: string; clients: string[]; source: Source }[] {
  const found: { backend: string; clients: string[]; source: Source }[] = [];
  const recent = new Map(host.recent.map((list) => [list.name, list.entries]));
  for (const set of host.xtables)
    for (const table of set.tables)
      for (const chain of table.name === "nat" && recent.size > 0 ? table.chains : []) {
        const entries = recent.get(chain.name) ?? [];
        if (entries.length === 0) continue;
        const target = chain.rules.map((rule) => rule.target).find((each) => each.t === "dnat");
        if (target?.t !== "dnat" || target.range.min === null || target.range.ports === null) continue;
        found.push({
          backend: backendText(formatIp(target.range.min), target.range.ports[0]),
          clients: entries.map(({ ip }) => formatIp(ip)),
          source: { file: `${host.dir}/xt_recent.txt`, line: entries[0]?.line ?? 1 },
        });
      }
  for (const table of host.nft?.tables.filter(({ name }) => name === "kube-proxy") ?? [])
    for (const set of table.sets) {
      const name = /^affinity-.*__(.+)\/(\d+)$/.exec(set.name);
      if (name === null || set.elements.length === 0) continue;
      const clients = set.elements.map((element) =>
        isRecord(element) && isRecord(element["elem"]) ? element["elem"]["val"] : element,
      );
      // An IPv6 address stands in names with dots for its colons (pkg/proxy/nftables, servicePortEndpointAffinityName).
      const address = table.family === "ip6" ? name[1]!.replaceAll(".", ":") : name[1]!;
      found.push({
        backend: backendText(address, Number(name[2])),
        clients: clients.filter((each) => typeof each === "string"),
        source: set.source,
      });
    }
  return found;
}

/** Endpoints of Services with affinity that are usable, and those that were ever named. */
function sticky(chart: Chart): { services: Service[]; usable: Set<string>; named: Set<string> } {
  const services = [...chart.dir.services.values()].filter((service) => service.sessionAffinity === "ClientIP");
  const usable = new Set<string>();
  const named = new Set<string>();
  for (const service of services)
    for (const port of service.ports)
      for (const family of [4, 6] as const)
        for (const slice of chart.dir.slices.get(`${service.namespace}/${service.name}`) ?? []) {
          const own = slice.ports.find((each) => each.name === port.name && each.protocol === port.protocol)?.port;
          if (own === undefined || own === null || slice.addressType !== `IPv${family}`) continue;
          for (const endpoint of slice.endpoints) named.add(backendText(endpoint.addresses[0] ?? "", own));
          for (const endpoint of usableEndpoints(chart.dir, service, port, family))
            usable.add(backendText(endpoint.addresses[0] ?? "", own));
        }
  return { services, usable, named };
}

function affinity(chart: Chart): Suspicion[] {
  const { services, usable, named } = sticky(chart);
  if (services.length === 0) return [];
  const pinned = pinnedWalks(chart, usable);
  const suspicions = [...pinned.values()].map(({ at, service, backend, source, hurts }): Suspicion => {
    const name = `${service.namespace}/${service.name}`;
    const node = at.split("/")[0] ?? at;
    const list = chart.hosts
      .filter((host) => host.place === at)
      .flatMap(lists)
      .find((each) => each.backend === backend);
    return {
      id: "affinity-dead-backend",
      at,
      summary: `Session affinity on ${node} holds clients of Service ${name} to ${backend}, which ${usable.has(backend) ? "does not answer" : "is gone"}, for up to ${service.sessionAffinitySeconds ?? 10800} s after each try`,
      evidence: [
        ...(source === null ? [] : [chart.evidence(source)]),
        ...(list === undefined ? [] : [chart.evidence(list.source)]),
      ],
      remedy: [
        ...(list === undefined || !list.source.file.endsWith("xt_recent.txt")
          ? []
          : list.clients
              .slice(0, MOST_LINES)
              .map(
                (client) => `echo -${client} > /proc/net/xt_recent/${recentName(chart, list.source)}   # on ${node}`,
              )),
        `kubectl -n ${service.namespace} patch service ${service.name} -p '{"spec":{"sessionAffinity":"None"}}'   # or a shorter sessionAffinityConfig.clientIP.timeoutSeconds`,
      ],
      hurts,
      otherwise: "warning",
    };
  });
  // Held clients whom no walk stands for: hosts that nobody recorded.
  const known = new Set([...pinned.values()].map(({ at, backend }) => `${at} ${backend}`));
  for (const host of chart.hosts)
    for (const { backend, clients, source } of lists(host)) {
      if (usable.has(backend) || known.has(`${host.place} ${backend}`)) continue;
      suspicions.push({
        id: "affinity-dead-backend",
        at: host.place,
        summary: `Session affinity on ${host.node} holds ${clients.length} ${clients.length === 1 ? "client" : "clients"} (${clients.slice(0, 3).join(", ")}) to ${backend}, which ${named.has(backend) ? "is not ready" : "is gone"}: their next connection there fails if it comes before the time is over`,
        evidence: [chart.evidence(source)],
        remedy: ["# let kube-proxy take the endpoint out of its rules: is it running on the node?"],
        hurts: [],
        // That the rules still have an endpoint that no slice names is a finding of its own.
        otherwise: named.has(backend) ? "warning" : "info",
      });
    }
  return suspicions;
}

/** The list's name: the header above its first entry. */
function recentName(chart: Chart, { file, line }: Source): string {
  for (let at = line; at > 0; at--) {
    const text = chart.snapshot.line({ file, line: at });
    if (text.startsWith("== ")) return text.slice(3);
  }
  return "LIST";
}

export const affinityDeadBackend: Check = {
  ids: ["affinity-dead-backend"],
  depth: "traffic",
  look(chart): Diagnosis {
    const { missing } = chart.snapshot.cluster;
    if (missing.has("endpointslices.discovery.k8s.io") || missing.has("services")) return { suspicions: [] };
    return { suspicions: affinity(chart) };
  },
};
