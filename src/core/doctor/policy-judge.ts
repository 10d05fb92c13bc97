/** Which NetworkPolicies forbid a walk that a rule of the network dropped. */
import type { Pod } from "../model/cluster.ts";
import { globalAddresses } from "../names/directory.ts";
import type { Chart, Walked } from "./chart.ts";
import { peerOf, Policies, type Direction, type Peer, type Policy } from "./network-policies.ts";
import type { RulePlace } from "./rule-places.ts";

/** Machines whose addresses are tried in a client's place. */
const MOST_MASQUERADERS = 50;

/** Chains of networks that enforce policies: Felix (cali-tw to a workload, cali-fw from one), kube-router, Weave Net. */
export function policyChain(chain: string): { direction: Direction | null; device: string | null } | null {
  const felix = /(?:^|-)cali-(tw|fw)-(.+)$/.exec(chain);
  if (felix !== null) return { direction: felix[1] === "tw" ? "ingress" : "egress", device: felix[2] ?? null };
  const policy = /(?:^|-)cali-(pi|po)-/.exec(chain);
  if (policy !== null) return { direction: policy[1] === "pi" ? "ingress" : "egress", device: null };
  if (/^(KUBE-POD-FW-|KUBE-NWPLCY-|WEAVE-NPC)/.test(chain)) return { direction: null, device: null };
  return null;
}

/** A pod and port that a walk may end at. */
export interface Destination {
  pod: Pod | null;
  address: string;
  port: number | null;
  protocol: string;
}

/** Every pod and port at which a walk may end, as the cluster's objects have it. */
export function destinations(chart: Chart, { target }: Walked): Destination[] {
  const { aim, address } = target;
  const protocol = target.proto.toUpperCase();
  const port = target.port ?? null;
  const podOf = (id: { namespace: string; name: string } | null): Pod | null =>
    id === null ? null : (chart.dir.pods.get(`${id.namespace}/${id.name}`)?.object ?? null);
  if (aim.kind === "pod") return [{ pod: aim.pod, address, port, protocol }];
  if (aim.kind === "hostPort")
    return [{ pod: aim.pod, address: aim.pod.ips[0] ?? address, port: aim.containerPort, protocol }];
  if (aim.kind !== "service") return [{ pod: null, address, port, protocol }];
  const { service, port: asked } = aim;
  return (chart.dir.slices.get(`${service.namespace}/${service.name}`) ?? []).flatMap((slice) => {
    const own = slice.ports.find((each) => each.name === asked.name && each.protocol === asked.protocol)?.port ?? null;
    return slice.endpoints.flatMap((each) =>
      each.addresses.slice(0, 1).map((at) => ({ pod: podOf(each.pod), address: at, port: own, protocol })),
    );
  });
}

/** Who is kept from what by which policies. */
export interface Verdict {
  direction: Direction;
  subject: Pod;
  policies: Policy[];
  /** What the connection ends at, as far as the policies forbid it. */
  denied: Destination[];
  peer: Peer;
  /** They admit the client, but see a node's address in its place. */
  masqueraded: boolean;
}

/** Finds the policies behind dropped walks. */
export class Judge {
  readonly policies: Policies;
  private readonly chart: Chart;
  private readonly pods = new Map<string, Pod>();
  private readonly addresses = new Map<string, string[]>();

  constructor(chart: Chart) {
    this.chart = chart;
    this.policies = new Policies(chart.snapshot);
    for (const machine of chart.site.machines)
      for (const { pod, hostDevice } of machine.sandboxes) {
        const object = chart.dir.pods.get(`${pod.namespace}/${pod.name}`)?.object ?? null;
        if (hostDevice !== null && object !== null) this.pods.set(`${machine.name} ${hostDevice.name}`, object);
      }
  }

  /** Every address that a machine may send from, its tunnels' as well. */
  private addressesOf(machine: string): string[] {
    let found = this.addresses.get(machine);
    if (found === undefined) {
      const ns = this.chart.dir.places.get(`${machine}/host`);
      const node = this.chart.dir.nodes.get(machine);
      found = ns !== undefined ? globalAddresses(ns) : (node?.addresses.map((each) => each.address) ?? []);
      this.addresses.set(machine, found);
    }
    return found;
  }

  /** Machines that may put their own address in a client's place on the way to a Service. */
  private masqueraders({ sender, target: { aim } }: Walked): string[] {
    if (aim.kind !== "service" && aim.kind !== "hostPort") return [];
    const first = [sender.node, ...(aim.node === null ? [] : [aim.node])];
    return [...new Set([...first, ...this.chart.dir.nodes.keys()])].slice(0, MOST_MASQUERADERS);
  }

  private egress(walked: Walked, subject: Pod): Verdict | null {
    const policies = this.policies.isolating(subject, "egress");
    if (policies.length === 0) return null;
    const { aim, address: asked, port: number, proto } = walked.target;
    // Where another machine resolves the Service, the pod's own node sees that machine's address.
    const unresolved: Destination[] =
      (aim.kind === "service" && aim.way !== "clusterIP") || aim.kind === "hostPort"
        ? [{ pod: null, address: asked, port: number ?? null, protocol: proto.toUpperCase() }]
        : [];
    const denied = [...destinations(this.chart, walked), ...unresolved].filter(
      ({ pod, address, port, protocol }) =>
        !this.policies.admit(policies, "egress", peerOf(pod, address), protocol, port, pod),
    );
    return denied.length === 0
      ? null
      : { direction: "egress", subject, policies, denied, peer: peerOf(null, undefined), masqueraded: false };
  }

  private ingress(walked: Walked, only: Pod | null): Verdict | null {
    const { sender, target } = walked;
    const family = target.address.includes(":");
    const ofFamily = (addresses: readonly string[]): string[] =>
      addresses.filter((each) => each.includes(":") === family);
    const own = ofFamily(sender.pod?.ips ?? this.addressesOf(sender.node));
    for (const destination of destinations(this.chart, walked)) {
      const { pod, port, protocol } = destination;
      if (pod === null || (only !== null && pod !== only)) continue;
      const policies = this.policies.isolating(pod, "ingress");
      if (policies.length === 0) continue;
      const admits = (peer: Peer): boolean => this.policies.admit(policies, "ingress", peer, protocol, port, pod);
      const peer = peerOf(sender.pod, own[0]);
      const verdict = { direction: "ingress" as const, subject: pod, policies, denied: [destination], peer };
      if (!admits(peer)) return { ...verdict, masqueraded: false };
      // A machine sends from the address of the device that leads there; and nodes may put their own in a client's place.
      const others = [
        ...(sender.pod === null ? own.slice(1) : []),
        ...this.masqueraders(walked).flatMap((machine) => ofFamily(this.addressesOf(machine))),
      ];
      if (others.some((each) => !admits(peerOf(null, each)))) return { ...verdict, masqueraded: true };
    }
    return null;
  }

  /** Which policies forbid a walk that a rule in `place` dropped; null when they do not. */
  verdict(walked: Walked, place: RulePlace): Verdict | null {
    const chain = policyChain(place.chain);
    if (chain === null) return null;
    const { direction, device } = chain;
    const pod = device === null ? null : (this.pods.get(`${place.ns.node} ${device}`) ?? null);
    const sender = walked.sender.pod;
    const out =
      direction !== "ingress" && sender !== null && (pod === null || pod === sender)
        ? this.egress(walked, sender)
        : null;
    return out ?? (direction === "egress" ? null : this.ingress(walked, pod));
  }
}
