/**
 * Two namespaces with one pod address: whoever is asked by ARP first gets the packets, and answers go astray. Left over from a pod
 * whose namespace was not taken down, from an IPAM that lost its record, or set by hand.
 */
import { formatIp } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import type { Disposition } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { namedEndpoints } from "../service-addresses.ts";
import { tracedFailures } from "../steps.ts";

/** Failed walks that are looked at with their steps for each address. */
const MOST_TRACED = 200;

/** Ends of walks that went to the wrong one of two, or whose answer did. */
const ASTRAY: ReadonlySet<Disposition> = new Set([
  "no-listener",
  "neighbour-unreachable",
  "martian",
  "dropped",
  "rp-filter",
  "loop",
  "no-route",
]);

interface Holder {
  ns: Namespace;
  device: string;
  source: Source;
}

const isActive = (pod: Pod): boolean => !pod.hostNetwork && pod.phase !== "Succeeded" && pod.phase !== "Failed";

/** Who holds each address that the cluster gave a pod. */
function holders(chart: Chart): Map<string, Holder[]> {
  const given = new Set(chart.snapshot.cluster.pods.filter(isActive).flatMap((pod) => pod.ips));
  const found = new Map<string, Holder[]>();
  for (const ns of chart.snapshot.namespaces)
    for (const link of ns.links)
      for (const { ip } of link.addresses) {
        const address = formatIp(ip);
        if (!given.has(address)) continue;
        const list = found.get(address);
        const holder = { ns, device: link.name, source: link.source };
        if (list === undefined) found.set(address, [holder]);
        else if (!list.some((each) => each.ns === ns)) list.push(holder);
      }
  return found;
}

/** Failed walks in which one of the holders had a part, and that no rule stopped. */
function hurtBy(chart: Chart, address: string, all: readonly Holder[]): Hurt[] {
  const places = new Set(all.map(({ ns }) => ns.place));
  const services = new Map<object, boolean>();
  const leadsThere = ({ target: { aim } }: Walked): boolean => {
    if (aim.kind !== "service") return false;
    let known = services.get(aim.port);
    if (known === undefined) {
      known = [...namedEndpoints(chart.dir, aim.service, aim.port)].some((each) => each.startsWith(`${address} `));
      services.set(aim.port, known);
    }
    return known;
  };
  let traced = 0;
  return chart.failures.flatMap((walked): Hurt[] => {
    const { sender, target } = walked;
    const aimed = target.aim.kind === "pod" && target.aim.place !== null && places.has(target.aim.place);
    const concerned = target.address === address || places.has(sender.place) || aimed || leadsThere(walked);
    if (!concerned || traced++ >= MOST_TRACED) return [];
    const outcomes = tracedFailures(chart, walked).filter(
      ({ disposition, because, steps }) =>
        ASTRAY.has(disposition) &&
        steps.some(({ at }) => places.has(at)) &&
        !steps.some(
          ({ kind, source }) =>
            (kind === "rule" || kind === "policy") &&
            source !== undefined &&
            source.file === because.source?.file &&
            source.line === because.source.line,
        ),
    );
    return outcomes.length === 0
      ? []
      : outcomes.length === walked.failed.length
        ? [{ walked }]
        : [{ walked, outcomes }];
  });
}

/** Pods to which the cluster gave one address twice. */
function givenTwice(chart: Chart): Suspicion[] {
  const found = new Map<string, Pod[]>();
  for (const pod of chart.snapshot.cluster.pods) {
    // A pod that is going may have handed its address on already.
    if (!isActive(pod) || pod.terminating) continue;
    for (const ip of pod.ips) {
      const list = found.get(ip);
      if (list === undefined) found.set(ip, [pod]);
      else list.push(pod);
    }
  }
  return [...found].flatMap(([address, pods]): Suspicion[] => {
    if (pods.length < 2) return [];
    const at = (pod: Pod): Namespace | null => chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.at ?? null;
    const holds = (pod: Pod): boolean =>
      at(pod)?.links.some((link) => link.addresses.some(({ ip }) => formatIp(ip) === address)) ?? false;
    // Of two the one that does not have it in truth; else the one that is listed last.
    const second = pods.findLast((pod) => !holds(pod)) ?? pods.at(-1)!;
    const place = at(second);
    const names = pods.map((pod) => `${pod.namespace}/${pod.name} on ${pod.node ?? "no node"}`);
    const all = pods.flatMap((pod): Holder[] => {
      const ns = at(pod);
      return ns === null ? [] : [{ ns, device: "eth0", source: pod.source }];
    });
    return [
      {
        id: "duplicate-pod-address",
        at: place?.place ?? "cluster",
        summary: `${pods.length} pods have the address ${address}: ${names.join(", ")}; each gets what is meant for the others`,
        evidence: pods.map((pod) => chart.evidence(pod.source, `Pod ${pod.namespace}/${pod.name}: podIP ${address}`)),
        remedy: [
          `kubectl -n ${second.namespace} delete pod ${second.name}   # it gets another address; then look for what gave one out twice`,
        ],
        hurts: hurtBy(chart, address, all),
        otherwise: "warning",
      },
    ];
  });
}

function heldTwice(chart: Chart): Suspicion[] {
  const owners = new Map<string, string>();
  for (const pod of chart.snapshot.cluster.pods)
    if (isActive(pod)) for (const ip of pod.ips) owners.set(ip, `${pod.namespace}/${pod.name}`);
  return [...holders(chart)].flatMap(([address, all]): Suspicion[] => {
    const owner = owners.get(address);
    const isOwner = ({ ns }: Holder): boolean => ns.pod !== null && `${ns.pod.namespace}/${ns.pod.name}` === owner;
    // Two pods with one podIP are told by their objects.
    const others = all.filter(
      (each) => !isOwner(each) && !(each.ns.pod !== null && ownsToo(chart, each.ns.pod, address)),
    );
    const right = all.find(isOwner);
    if (others.length === 0 || right === undefined) return [];
    return others.map((other) => ({
      id: "duplicate-pod-address",
      at: other.ns.place,
      summary: `${other.ns.place} has the address ${address} on ${other.device}, which is that of pod ${owner} on ${right.ns.node}: each gets what is meant for the other`,
      evidence: [
        chart.evidence(other.source, `${other.device} of ${other.ns.place}: inet ${address}`),
        chart.evidence(right.source, `${right.device} of ${right.ns.place}: inet ${address}`),
      ],
      remedy: [
        other.ns.pod === null
          ? `ip${other.ns.place.endsWith("/host") ? "" : ` netns exec ${other.ns.path?.split("/").at(-1) ?? "NETNS"} ip`} addr del ${address}/${address.includes(":") ? 128 : 32} dev ${other.device}   # on ${other.ns.node}`
          : `kubectl -n ${other.ns.pod.namespace} delete pod ${other.ns.pod.name}   # made anew, it has its own address only`,
      ],
      hurts: hurtBy(chart, address, [other, right]),
      otherwise: "warning" as const,
    }));
  });
}

function ownsToo(chart: Chart, id: { namespace: string; name: string }, address: string): boolean {
  return chart.dir.pods.get(`${id.namespace}/${id.name}`)?.object?.ips.includes(address) ?? false;
}

export const duplicatePodAddress: Check = {
  ids: ["duplicate-pod-address"],
  depth: "machine",
  look: (chart): Diagnosis => ({ suspicions: [...givenTwice(chart), ...heldTwice(chart)] }),
};
