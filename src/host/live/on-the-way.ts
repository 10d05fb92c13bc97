/** Which nodes a walk leads to, as far as it went: those whose addresses, pods and ranges its steps name. */
import { formatIp, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../core/model/address.ts";
import type { Snapshot } from "../../core/model/snapshot.ts";
import type { Answer, Step } from "../../core/model/walk.ts";

/** Kinds of steps in whose text an address is where the packet goes. The text of a rule names addresses that are not this packet's. */
const LEADING: ReadonlySet<Step["kind"]> = new Set(["route", "neighbour", "fdb", "tunnel", "fabric", "conntrack"]);

const WORD = /[\da-fA-F:.]*[:.][\da-fA-F:.]*[\da-fA-F]/g;

/** Where walks lead. */
export interface OnTheWay {
  nodes: Set<string>;
  /** NAMESPACE/NAME. */
  pods: Set<string>;
}

/** Whose an address is, by the cluster's objects alone. */
export class Owners {
  private readonly byAddress = new Map<string, string>();
  private readonly podByAddress = new Map<string, string>();
  private readonly ranges: { prefix: Prefix; node: string }[] = [];
  private readonly nodes = new Set<string>();

  constructor({ cluster }: Snapshot) {
    for (const node of cluster.nodes) {
      this.nodes.add(node.name);
      for (const { address } of node.addresses) this.add(address, node.name);
      for (const range of node.podCIDRs) {
        const prefix = parsePrefix(range);
        if (prefix !== null) this.ranges.push({ prefix, node: node.name });
      }
    }
    for (const pod of cluster.pods)
      if (pod.node !== null && !pod.hostNetwork)
        for (const ip of pod.ips) this.add(ip, pod.node, `${pod.namespace}/${pod.name}`);
  }

  private add(address: string, node: string, pod?: string): void {
    const ip = parseIp(address);
    if (ip === null) return;
    this.byAddress.set(formatIp(ip), node);
    if (pod !== undefined) this.podByAddress.set(formatIp(ip), pod);
  }

  /** The node that has the address, or the pod with it, or the range that it is in; null when none is known to. */
  nodeOf(ip: Ip): string | null {
    const known = this.byAddress.get(formatIp(ip));
    return known ?? this.ranges.find(({ prefix }) => inPrefix(ip, prefix))?.node ?? null;
  }

  /** Nodes, and pods as NAMESPACE/NAME, of the addresses in a text. */
  inText(text: string, found: OnTheWay): void {
    for (const word of text.match(WORD) ?? []) {
      const ip = parseIp(word) ?? parseIp(word.replace(/:\d+$/, ""));
      if (ip === null) continue;
      const node = this.nodeOf(ip);
      if (node !== null) found.nodes.add(node);
      const pod = this.podByAddress.get(formatIp(ip));
      if (pod !== undefined) found.pods.add(pod);
    }
  }

  /** Whether it is a node of the cluster. */
  isNode(name: string): boolean {
    return this.nodes.has(name);
  }
}

/** A pod's place: the node, and the pod as NAMESPACE/NAME. */
const POD_PLACE = /^([^/]+)\/pod\/([^/]+\/[^/]+)$/;

/** Nodes and pods that the paths of an answer lead to. `answer` must have its steps. */
export function onTheWay(answer: Answer, owners: Owners): OnTheWay {
  const found: OnTheWay = { nodes: new Set(), pods: new Set() };
  const place = (at: string): void => {
    const node = at.split("/", 1)[0]!;
    if (owners.isNode(node)) found.nodes.add(node);
    const pod = POD_PLACE.exec(at)?.[2];
    if (pod !== undefined) found.pods.add(pod);
  };
  place(answer.from);
  for (const { because, server, steps } of answer.outcomes) {
    owners.inText(because.text, found);
    if (server !== undefined) place(server.at);
    for (const step of steps ?? []) {
      place(step.at);
      if (LEADING.has(step.kind)) owners.inText(step.text, found);
      if (step.changed?.dst !== undefined) owners.inText(step.changed.dst, found);
    }
  }
  return found;
}

/** On the way to an address before anything was walked: whose it is, or whose those of a Service's endpoints are. */
export function behind(snapshot: Snapshot, owners: Owners, address: string): OnTheWay {
  const found: OnTheWay = { nodes: new Set(), pods: new Set() };
  const { services, endpointSlices } = snapshot.cluster;
  const service = services.find((each) =>
    [...each.clusterIPs, ...each.externalIPs, ...each.loadBalancerIPs].includes(address),
  );
  if (service === undefined) {
    owners.inText(address, found);
    return found;
  }
  for (const slice of endpointSlices) {
    if (slice.namespace !== service.namespace || slice.service !== service.name) continue;
    for (const { node, addresses } of slice.endpoints) {
      if (node !== null && owners.isNode(node)) found.nodes.add(node);
      for (const each of addresses) owners.inText(each, found);
    }
  }
  return found;
}
