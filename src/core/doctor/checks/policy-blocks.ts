/**
 * What NetworkPolicies forbid, read from the rules that dropped a walk and mapped back to the policies that isolate the pod. A policy
 * that does what it says is no fault; one that makes its own pods useless against its intention is: an egress policy that admits
 * something but forgets DNS, a policy on the DNS servers that lets nobody ask, a rule that names the Service's port although packets
 * are judged with the pod's (networking.k8s.io/v1, NetworkPolicyPort).
 */
import type { Pod, Service, ServicePort } from "../../model/cluster.ts";
import type { Source } from "../../model/source.ts";
import type { Outcome } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { clusterDns } from "../cluster-dns.ts";
import { listening } from "../listening.ts";
import { peerOf, Policies, policyName, POLICIES, type Direction, type Policy } from "../network-policies.ts";
import { destinations, Judge, policyChain, type Verdict } from "../policy-judge.ts";
import { lineKey, rulePlaces, type RulePlace } from "../rule-places.ts";
import type { Evidence } from "../types.ts";

/** Policies of other APIs, whose words are not read here: what their rules drop is taken as meant. */
const OTHER_POLICIES = [
  "networkpolicies.crd.projectcalico.org",
  "globalnetworkpolicies.crd.projectcalico.org",
  "stagednetworkpolicies.crd.projectcalico.org",
  "adminnetworkpolicies.policy.networking.k8s.io",
  "baselineadminnetworkpolicies.policy.networking.k8s.io",
];
const MOST_LINES = 3;

/** Walks that one set of policies forbids for one reason. */
interface Group {
  kind: "meant" | "dns" | "dns-server" | "port" | "other";
  direction: Direction;
  policies: Policy[];
  subjects: Set<Pod>;
  hurts: Map<Walked, Outcome[]>;
  lines: Map<string, Source>;
  masqueraded: boolean;
  /** For `port`: what the rule names, and what it should. */
  names: string;
  should: string;
  dns: Service | null;
  /** For `other`: chains of the policies. */
  chains: Set<string>;
  at: string;
}

const asksDns = (chart: Chart, walked: Walked): Service | null => {
  const { aim, address, proto } = walked.target;
  const dns = clusterDns(chart);
  if (
    aim.kind !== "service" ||
    aim.port.port !== 53 ||
    (proto !== "udp" && proto !== "tcp") ||
    !dns.services.has(aim.service)
  )
    return null;
  if (dns.asked.size === 0) return aim.service;
  return dns.asked.get(address)?.some(({ ns }) => ns.place === walked.sender.place) === true ? aim.service : null;
};

/** Whether the pod has something for the port: then a policy that names it means it. */
function answers(chart: Chart, pod: Pod, protocol: string, port: number): boolean {
  const at = chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.at ?? null;
  const state = at === null ? "unknown" : listening(at, protocol.toLowerCase(), pod.ips[0] ?? "", port, true).state;
  return state === "unknown" ? pod.ports.some((each) => each.containerPort === port) : state === "here";
}

function kindOf(
  chart: Chart,
  policies: Policies,
  walked: Walked,
  verdict: Verdict,
): Pick<Group, "kind" | "names" | "should" | "dns"> & { of?: Policy } {
  const plain = { kind: "meant" as const, names: "", should: "", dns: null };
  const dns = asksDns(chart, walked);
  const [denied] = verdict.denied;
  if (dns !== null && denied !== undefined) {
    const udp = destinations(chart, walked).map((each) => ({ ...each, protocol: "UDP" }));
    if (verdict.direction === "egress" && policies.admitsSomething(verdict.policies, "egress")) {
      const any = udp.some(({ pod, address, port, protocol }) =>
        policies.admit(verdict.policies, "egress", peerOf(pod, address), protocol, port, pod),
      );
      if (!any) return { ...plain, kind: "dns", dns };
    }
    if (
      verdict.direction === "ingress" &&
      denied.port !== null &&
      !policies.admitsPort(verdict.policies, "ingress", "UDP", denied.port, verdict.subject)
    )
      return { ...plain, kind: "dns-server", dns };
  }
  const { aim } = walked.target;
  if (aim.kind !== "service") return plain;
  for (const { pod, address, port, protocol } of verdict.denied) {
    if (pod === null || port === null || aim.port.port === port || answers(chart, pod, protocol, aim.port.port))
      continue;
    const peer = verdict.direction === "egress" ? peerOf(pod, address) : verdict.peer;
    const missed = policies.misses(verdict.policies, verdict.direction, peer, protocol, aim.port.port, pod);
    if (missed !== null)
      return { ...plain, kind: "port", names: missed.names, should: portText(aim.port, port), of: missed.policy };
  }
  return plain;
}

const portText = ({ name }: ServicePort, port: number): string => (name === "" ? String(port) : `${port} (${name})`);

const list = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;

const podsText = (pods: ReadonlySet<Pod>): string => {
  const names = [...pods].map((pod) => `${pod.namespace}/${pod.name}`);
  return pods.size > 3 ? `${pods.size} pods` : list(names);
};

function allowDns(service: Service, policies: readonly Policy[]): string[] {
  const peer = {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": service.namespace } },
    podSelector: { matchLabels: service.selector },
  };
  const ports = service.ports
    .filter((each) => each.port === 53)
    .map((each) => ({ protocol: each.protocol, port: each.targetPort }));
  const policy = policies.find((each) => (each.egress?.length ?? 0) > 0);
  return policy === undefined
    ? []
    : [
        `kubectl -n ${policy.namespace} patch networkpolicy ${policy.name} --type=json -p '${JSON.stringify([{ op: "add", path: "/spec/egress/-", value: { to: [peer], ports } }])}'`,
      ];
}

function words(group: Group): { summary: string; remedy: string[] } {
  const names = group.policies.map(policyName);
  const title = `${names.length === 1 ? "NetworkPolicy" : "NetworkPolicies"} ${list(names)}`;
  const s = names.length === 1 ? "s" : "";
  const edit = group.policies
    .slice(0, 1)
    .map(({ namespace, name }) => `kubectl -n ${namespace} edit networkpolicy ${name}`);
  const pods = podsText(group.subjects);
  switch (group.kind) {
    case "dns":
      return {
        summary: `${title} let${s} ${pods} send to some, but not to the DNS servers that their resolv.conf names, so that no name can be looked up`,
        remedy: group.dns === null ? edit : allowDns(group.dns, group.policies),
      };
    case "dns-server":
      return {
        summary: `${title} admit${s} nobody to UDP port 53 of the DNS servers ${pods}, so that no name can be looked up`,
        remedy: edit.map((each) => `${each}   # ingress with ports 53/UDP and 53/TCP`),
      };
    case "port":
      return {
        summary: `${title} name${s} ${group.names}, where ${pods} ${group.subjects.size === 1 ? "does" : "do"} not take the packet: a policy judges it with the pod's port, ${group.should}, not with the Service's`,
        remedy: edit.map((each) => `${each}   # port: ${group.should}`),
      };
    case "other":
      return {
        summary: `Policies of the network on ${group.at} (${list([...group.chains])}) forbid what they do not name`,
        remedy: [
          "kubectl get networkpolicies.crd.projectcalico.org,globalnetworkpolicies.crd.projectcalico.org -A -o yaml",
        ],
      };
    case "meant": {
      const nothing = group.policies.every((policy) => (policy[group.direction] ?? []).length === 0);
      const what = nothing ? "nothing" : `only what ${names.length === 1 ? "it names" : "they name"}`;
      return {
        summary: `${title} admit${s} ${group.direction === "ingress" ? "to" : "from"} ${pods} ${what}${group.masqueraded ? "; what a node sends itself or masquerades comes with an address that they do not name" : ""}`,
        remedy: edit.map((each) => `${each}   # if more should pass`),
      };
    }
  }
}

function suspicion(chart: Chart, group: Group): Suspicion {
  const resolver =
    group.kind === "dns"
      ? clusterDns(chart).resolvers.find(({ ns }) =>
          [...group.subjects].some((pod) => ns.pod?.name === pod.name && ns.pod.namespace === pod.namespace),
        )
      : undefined;
  const asked = resolver?.nameservers[0];
  const evidence: Evidence[] = [
    ...group.policies.flatMap((policy) =>
      policy.source === null ? [] : [chart.evidence(policy.source, `NetworkPolicy ${policyName(policy)}`)],
    ),
    ...[...group.lines.values()].slice(0, MOST_LINES).map((source) => chart.evidence(source)),
    ...(asked === undefined ? [] : [chart.evidence(asked.source)]),
  ];
  const hurts = [...group.hurts].map(([walked, outcomes]): Hurt =>
    outcomes.length === walked.failed.length ? { walked } : { walked, outcomes },
  );
  const meant = group.kind === "meant" || group.kind === "other";
  return {
    id: "policy-blocks",
    at: group.kind === "other" ? group.at : "cluster",
    ...words(group),
    evidence,
    hurts,
    otherwise: null,
    intended: meant,
  };
}

/** The walks that rules of policies dropped, each outcome with its rule's place. */
function dropped(chart: Chart): { walked: Walked; outcome: Outcome; source: Source; place: RulePlace }[] {
  const sources = new Map<string, Source>();
  for (const { failed } of chart.failures)
    for (const { because } of failed)
      if (because.source !== undefined) sources.set(lineKey(because.source), because.source);
  const places = rulePlaces(chart, sources.values());
  for (const [key, place] of places) if (policyChain(place.chain) === null) places.delete(key);
  return chart.failures.flatMap((walked) =>
    walked.failed.flatMap((outcome) => {
      const { source } = outcome.because;
      const place = source === undefined ? undefined : places.get(lineKey(source));
      return source === undefined || place === undefined ? [] : [{ walked, outcome, source, place }];
    }),
  );
}

export const policyBlocks: Check = {
  ids: ["policy-blocks"],
  depth: "rules",
  look(chart): Diagnosis {
    const all = dropped(chart);
    if (all.length === 0) return { suspicions: [] };
    const why = chart.snapshot.cluster.missing.get(POLICIES);
    if (why !== undefined || !chart.snapshot.cluster.raw.has(POLICIES))
      return {
        suspicions: [],
        unknown: [{ id: "policy-blocks", at: "cluster", why: why ?? `cluster/${POLICIES}.json was not recorded` }],
      };
    const judge = new Judge(chart);
    const others = OTHER_POLICIES.some((resource) => (chart.snapshot.cluster.raw.get(resource) ?? []).length > 0);
    const groups = new Map<string, Group>();
    for (const { walked, outcome, source, place } of all) {
      const verdict = judge.verdict(walked, place);
      if (verdict === null && !others) continue;
      const why2 = verdict === null ? null : kindOf(chart, judge.policies, walked, verdict);
      const policies = verdict === null ? [] : why2?.of === undefined ? verdict.policies : [why2.of];
      const kind = why2?.kind ?? "other";
      const at = `${place.ns.node}/host`;
      const direction = verdict?.direction ?? "ingress";
      const key =
        kind === "other"
          ? `other ${at}`
          : `${kind} ${direction} ${policies.map(policyName).join(",")} ${why2?.names ?? ""}`;
      let group = groups.get(key);
      if (group === undefined)
        groups.set(
          key,
          (group = {
            kind,
            direction,
            policies,
            subjects: new Set(),
            hurts: new Map(),
            lines: new Map(),
            masqueraded: false,
            names: why2?.names ?? "",
            should: why2?.should ?? "",
            dns: why2?.dns ?? null,
            chains: new Set(),
            at,
          }),
        );
      if (verdict !== null) group.subjects.add(verdict.subject);
      group.masqueraded ||= verdict?.masqueraded === true;
      for (const chain of place.jumps) group.chains.add(chain);
      group.lines.set(lineKey(source), source);
      const outcomes = group.hurts.get(walked);
      if (outcomes === undefined) group.hurts.set(walked, [outcome]);
      else outcomes.push(outcome);
    }
    return { suspicions: [...groups.values()].map((group) => suspicion(chart, group)) };
  },
};
