/** Which nodes a walk leads to, as far as it went: those whose addresses, pods and ranges its steps name. */
import { formatIp, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../core/model/address.ts";
import type { Snapshot } from "../../core/model/snapshot.ts";
import type { Answer, Step } from "../../core/model/walk.ts";

/** Kinds of steps in whose text an address is where the packet goes. The text of a rule names addresses that are not this packet's. */
const LEADING: ReadonlySet<Step["kind"]> = new Set(["route", "neighbour", "fdb", "tunnel", "fabric", "conntrack"]);

const WORD = /[\da-fA-F:.]*[:.][\da-fA-F:.]*[\da-fA-F]/g;

/** Whose an address is, by the cluster's objects alone. */
export class Owners {
  private readonly byAddress = new Map<string, string>();
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
      if (pod.node !== null && !pod.hostNetwork) for (const ip of pod.ips) this.add(ip, pod.node);
  }

  private add(address: string, node: string): void {
    const ip = parseIp(address);
    if (ip !== null) this.byAddress.set(formatIp(ip), node);
  }

  /** The node that has the address, or the pod with it, or the range that it is in; null when none is known to. */
  nodeOf(ip: Ip): string | null {
    const known = this.byAddress.get(formatIp(ip));
    return known ?? this.ranges.find(({ prefix }) => inPrefix(ip, prefix))?.node ?? null;
  }

  /** Nodes of the addresses in a text. */
  inText(text: string, found: Set<string>): void {
    for (const word of text.match(WORD) ?? []) {
      const ip = parseIp(word) ?? parseIp(word.replace(/:\d+$/, ""));
      const node = ip === null ? null : this.nodeOf(ip);
      if (node !== null) found.add(node);
    }
  }

  /** Whether it is a node of the cluster. */
  isNode(name: string): boolean {
    return this.nodes.has(name);
  }
}

/** Nodes that the paths of an answer lead to. `answer` must have its steps. */
export function nodesOnTheWay(answer: Answer, owners: Owners): Set<string> {
  const found = new Set<string>();
  const place = (at: string): void => {
    const node = at.split("/", 1)[0]!;
    if (owners.isNode(node)) found.add(node);
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

/** Of the nodes on the way to an address before anything was walked: its own, or those of a Service's endpoints. */
export function nodesBehind(snapshot: Snapshot, owners: Owners, address: string): Set<string> {
  const found = new Set<string>();
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
    for (const { node } of slice.endpoints) if (node !== null && owners.isNode(node)) found.add(node);
  }
  return found;
}
