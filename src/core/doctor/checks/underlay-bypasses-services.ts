/**
 * A pod's device is a second face of its node's own (macvlan, ipvlan): its packets never meet the node's rules, which translate the
 * addresses of Services, and never the node itself (Documentation/networking/ipvlan.rst; drivers/net/macvlan.c, macvlan_queue_xmit).
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Link } from "../../model/link.ts";
import type { Step } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, lastRoute, type Death } from "../deaths.ts";

const ID = "underlay-bypasses-services";
const KINDS = new Set(["macvlan", "macvtap", "ipvlan"]);

interface UnderlayPod {
  ns: Namespace;
  link: Link;
}

/** The device that a pod's default route leads by, when it is a face of one of the node's. */
function underlayOf(ns: Namespace): UnderlayPod | null {
  const defaults = [...ns.routes4, ...ns.routes6].filter((route) => route.dst.len === 0 && route.type === "unicast");
  const devices = new Set(defaults.flatMap((route) => route.nexthops.map((hop) => hop.dev)));
  // Without a default route, the only device there is.
  const link = ns.links.find((each) => KINDS.has(each.kind.kind) && (devices.size === 0 || devices.has(each.name)));
  return link === undefined ? null : { ns, link };
}

/** Whether a packet met rules of the node's root namespace on its way out. */
const metRules = (steps: readonly Step[], host: string): boolean =>
  steps.some(
    (step) => step.at === host && step.direction === "forward" && (step.kind === "rule" || step.kind === "policy"),
  );

/** Walks of these pods to Services or their own node that met none of its rules. */
function pastTheRules(deaths: readonly Death[], node: string, places: ReadonlySet<string>): Hurt[] {
  const host = `${node}/host`;
  const past = deaths.filter(({ example: { sender, target }, forward }) => {
    const { aim } = target;
    const service = aim.kind === "service" && (aim.way !== "nodePort" || aim.node === node);
    const itself = (aim.kind === "node" || aim.kind === "hostPort") && aim.node === node;
    return places.has(sender.place) && (service || itself) && !metRules(forward, host);
  });
  return hurtsOf(past).filter(({ walked }) => places.has(walked.sender.place));
}

/** Walks that end at the node because it finds none of these pods by its own face of the device. */
function fromTheNode(deaths: readonly Death[], node: string, pods: readonly UnderlayPod[]): Hurt[] {
  const host = `${node}/host`;
  const addresses = new Set(pods.flatMap(({ link }) => link.addresses.map((each) => each.ip.key)));
  return hurtsOf(
    deaths.filter((death) => {
      const dst =
        death.disposition === "neighbour-unreachable" && death.at === host ? lastRoute(death, host)?.dst : null;
      return dst !== null && dst !== undefined && addresses.has(dst.key);
    }),
  );
}

/** Each walk once, with the outcomes of both. */
function joined(hurts: readonly Hurt[]): Hurt[] {
  const found = new Map<Walked, Hurt>();
  for (const { walked, outcomes } of hurts) {
    const known = found.get(walked);
    if (known === undefined) found.set(walked, outcomes === undefined ? { walked } : { walked, outcomes });
    else
      found.set(walked, {
        walked,
        outcomes: [...new Set([...(known.outcomes ?? walked.failed), ...(outcomes ?? walked.failed)])],
      });
  }
  return [...found.values()];
}

function suspicion(chart: Chart, node: string, pods: readonly UnderlayPod[]): Suspicion {
  const [first] = pods;
  const { ns, link } = first!;
  const places = new Set(pods.map((each) => each.ns.place));
  const parent = parentOf(chart, node, link);
  const by = `${link.kind.kind}${parent === null ? "" : ` on ${parent}`}`;
  const who = pods.length === 1 ? `Pod ${ns.pod?.namespace}/${ns.pod?.name} is` : `${pods.length} pods of ${node} are`;
  return {
    id: ID,
    at: pods.length === 1 ? ns.place : `${node}/host`,
    summary:
      `${who} attached by ${by}: what they send meets no rule of ${node}, so that Services' addresses are not translated, and ${node} itself is out of their reach`
        .replace("they send", pods.length === 1 ? "it sends" : "they send")
        .replace("their reach", pods.length === 1 ? "its reach" : "their reach"),
    evidence: pods
      .slice(0, 3)
      .map((each) => chart.evidence(each.link.source, `${each.link.name}: ${each.link.kind.kind} in ${each.ns.place}`)),
    remedy: [
      "# give such pods a second device by which Services are reached (Multus: the macvlan or ipvlan network as a second one), for instance with",
      `# the plugin ptp or bridge for eth0; or let them ask pods and not Services (headless Services); or route the Services' range by a veth pair to ${node}`,
      "kubectl get servicecidrs",
    ],
    hurts: joined([...pastTheRules(deathsOf(chart), node, places), ...fromTheNode(deathsOf(chart), node, pods)]),
    otherwise: "info",
  };
}

/** Name of the node's device beneath; null when it is not known. */
function parentOf(chart: Chart, node: string, link: Link): string | null {
  const host = chart.dir.places.get(`${node}/host`);
  return host?.links.find((each) => each.index === link.peerIndex)?.name ?? null;
}

export const underlayBypassesServices: Check = {
  ids: [ID],
  depth: "machine",
  look(chart): Diagnosis {
    const byNode = new Map<string, UnderlayPod[]>();
    for (const ns of chart.snapshot.namespaces) {
      if (ns.pod === null || !chart.dir.nodes.has(ns.node)) continue;
      const pod = underlayOf(ns);
      if (pod !== null) byNode.set(ns.node, [...(byNode.get(ns.node) ?? []), pod]);
    }
    return { suspicions: [...byNode].map(([node, pods]) => suspicion(chart, node, pods)) };
  },
};
