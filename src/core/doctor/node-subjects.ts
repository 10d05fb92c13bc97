/** Nodes with the addresses that they go by, beside those that they have. */
import { formatIp, inPrefix, parseIp, prefixOf, sameIp, type Ip } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import { unmapped } from "../networks/node-ip/host-view.ts";
import type { Machine } from "../networks/site.ts";
import type { Chart } from "./chart.ts";
import type { Hurt } from "./check.ts";
import { deathsOf, hurtsOf } from "./deaths.ts";
import { isLost } from "./lost.ts";
import type { Evidence } from "./types.ts";

/** A node's root namespace and what its object says. */
export interface NodeSubject {
  chart: Chart;
  host: Namespace;
  machine: Machine;
  node: NonNullable<Machine["node"]>;
  /** InternalIPs. */
  internal: Ip[];
}

/** Walks that die on their way to an address, or through it as a next hop or the far end of a tunnel. */
export function through(chart: Chart, address: Ip): Hurt[] {
  return hurtsOf(
    deathsOf(chart).filter(
      ({ disposition, example, routes }) =>
        isLost(disposition) &&
        (example.target.address === formatIp(address) ||
          routes.some(
            ({ dst, layer, route }) =>
              (layer > 0 && dst !== null && sameIp(dst, address)) ||
              route?.nexthops.some((hop) => hop.gateway !== null && sameIp(hop.gateway, address)) === true,
          )),
    ),
  );
}

/** Whether a namespace has the address on some device; Go makes no difference between an IPv4 address and the mapped one. */
export const holds = (ns: Namespace, address: Ip): boolean =>
  ns.links.some((link) => link.addresses.some((each) => sameIp(unmapped(each.ip), unmapped(address))));

/** Addresses of a host that others could use, `172.30.0.11 (eth0)`. */
export function ownAddresses(
  host: Namespace,
  machine: Machine,
  family: 4 | 6,
): { ip: Ip; len: number; dev: string; source: Source }[] {
  const own = new Set(machine.devices.map((device) => device.name));
  return host.links.flatMap((link) =>
    !own.has(link.name) && link.kind.kind !== "loopback" && link.kind.kind !== "dummy"
      ? []
      : link.addresses
          .filter((each) => each.ip.v === family && each.scope === "global")
          .map((each) => ({ ip: each.ip, len: each.prefixLen, dev: link.name, source: link.source })),
  );
}

/** The Node object as evidence. */
export const nodeEvidence = (subject: NodeSubject, said: string): Evidence =>
  subject.chart.evidence(subject.node.source, `Node ${subject.node.name}: ${said}`);

/** Every own address as evidence. */
export function linkEvidence(subject: NodeSubject, family: 4 | 6): Evidence[] {
  return ownAddresses(subject.host, subject.machine, family).map((each) =>
    subject.chart.evidence(each.source, `${each.dev} ${formatIp(each.ip)}/${each.len}`),
  );
}

/** How kubelet gets another address. */
export const kubeletRemedy = (subject: NodeSubject, address: string): string[] => [
  `# on ${subject.node.name}, in kubelet's arguments (/etc/default/kubelet, /var/lib/kubelet/kubeadm-flags.env): --node-ip=${address}`,
  "systemctl restart kubelet",
];

/** An own address to go by: the one that most other nodes have in their networks, else the first. */
export function better(subject: NodeSubject, family: 4 | 6): string {
  const others = subject.chart.nodes.flatMap((machine) =>
    machine.name === subject.machine.name ? [] : (machine.node?.addresses ?? []).map((each) => parseIp(each.address)),
  );
  const own = ownAddresses(subject.host, subject.machine, family);
  const near = own.find((each) => others.some((ip) => ip !== null && inPrefix(ip, prefixOf(each.ip, each.len))));
  const best = near ?? own[0];
  return best === undefined ? "ADDRESS" : formatIp(best.ip);
}

/** The cluster's nodes whose interfaces were recorded. */
export function nodeSubjects(chart: Chart): NodeSubject[] {
  return chart.nodes.flatMap((machine): NodeSubject[] => {
    const host = chart.dir.places.get(machine.place);
    if (host === undefined || host.missing.has("addr") || machine.node === null) return [];
    const internal = machine.node.addresses
      .filter(({ type }) => type === "InternalIP")
      .map(({ address }) => parseIp(address))
      .filter((ip) => ip !== null);
    return [{ chart, host, machine, node: machine.node, internal }];
  });
}
