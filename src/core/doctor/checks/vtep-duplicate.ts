/**
 * Two nodes with one end of the tunnel: the same outer address, MAC or tunnel address, or a node that tells the others an address or MAC
 * that is not its own. The others write one forwarding entry for it, and what is for one node goes to the other (flannel, pkg/subnet/kube
 * nodeToLease; Calico, felix/dataplane/linux/vxlan_mgr.go).
 */
import { formatIp } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { told } from "../told-vteps.ts";
import { overlays, type TunnelEnd } from "../tunnels.ts";
import type { Evidence } from "../types.ts";

const addressesOf = (host: Namespace): Set<string> =>
  new Set(host.links.flatMap((link) => link.addresses.map((each) => formatIp(each.ip))));

/** Deaths of packets that were wrapped for a node and sent to an address that it does not have, or to a MAC that its device has not. */
function misled(chart: Chart, host: Namespace, wrongMacs: ReadonlySet<string>): Death[] {
  const own = addressesOf(host);
  const macs = overlays(chart).flatMap(({ byNode }) => byNode.get(host.node)?.link.mac ?? []);
  return deathsOf(chart).filter((death) =>
    death.path.some((step) => {
      if (step.kind !== "fdb" && step.kind !== "neighbour") return false;
      const [, mac, dst] = /^([0-9a-f:]{17}) dev \S+ dst (\S+)$/.exec(step.text) ?? [];
      if (mac !== undefined && dst !== undefined)
        return (macs.includes(mac) && !own.has(dst)) || (wrongMacs.has(mac) && own.has(dst));
      const used = / lladdr (\S+)/.exec(step.text)?.[1];
      return used !== undefined && wrongMacs.has(used) && step.kind === "neighbour";
    }),
  );
}

/** The line of a Node object that says something, as evidence. */
function annotationOf(chart: Chart, node: string, value: string): Evidence[] {
  const object = chart.dir.nodes.get(node);
  if (object === undefined) return [];
  const text = chart.snapshot.text(object.source.file);
  const entry = Object.entries(object.annotations).find(([, each]) => each.toLowerCase().includes(value));
  if (entry === undefined) return [];
  const lines = text?.split("\n") ?? [];
  const name = JSON.stringify(entry[0]);
  const from = object.source.line - 1;
  const at = lines.findIndex((line, i) => i >= from && line.includes(name));
  const line = at < 0 ? object.source.line : at + 1;
  return [{ file: object.source.file, line, text: `Node ${node}: ${entry[0]}: ${entry[1]}` }];
}

function byValue(nodes: readonly string[], values: (node: string) => Iterable<string>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const node of nodes)
    for (const value of values(node)) {
      const list = found.get(value);
      if (list === undefined) found.set(value, [node]);
      else list.push(node);
    }
  return found;
}

/** Nodes that tell an address which another node tells, too, or which is not theirs. */
function toldWrongly(chart: Chart): Suspicion[] {
  const hosts = new Map(chart.hosts.map((host) => [host.node, host]));
  const tellers = byValue([...hosts.keys()], (node) => told(chart, node).addresses);
  return [...tellers].flatMap(([address, nodes]): Suspicion[] => {
    if (nodes.length < 2) return [];
    const strangers = nodes.filter((node) => !addressesOf(hosts.get(node)!).has(address));
    const owner = nodes.find((node) => !strangers.includes(node));
    const evidence = nodes.flatMap((node) => annotationOf(chart, node, address));
    // Where both hold it, the address itself is there twice: see below.
    if (strangers.length === 0) return [];
    if (owner === undefined)
      return [
        {
          id: "vtep-duplicate",
          at: "cluster",
          summary: `Nodes ${nodes.join(", ")} tell the others one address as their end of the tunnel, ${address}, which none of them has itself: what is for the pods of one goes to the other`,
          evidence,
          remedy: ["# give each node's daemon an address of its own (flanneld --public-ip, --iface; calico-node IP)"],
          hurts: hurtsOf(nodes.flatMap((node) => misled(chart, hosts.get(node)!, new Set()))),
          otherwise: "warning",
        },
      ];
    return strangers.map((node) => {
      const host = hosts.get(node)!;
      return {
        id: "vtep-duplicate",
        at: host.place,
        summary: `Node ${node} tells the others ${address} as its end of the tunnel, which is the address of ${owner}: they send what is for the pods of ${node} to ${owner}`,
        evidence: [
          ...evidence,
          chart.evidence(
            { file: `${host.dir}/addr.json`, line: 1 },
            `${node} has ${[...addressesOf(host)]
              .filter((each) => !each.startsWith("127.") && each !== "::1")
              .slice(0, 6)
              .join(", ")}`,
          ),
        ],
        remedy: [
          `# restart the network's daemon on ${node} (flanneld, calico-node), which writes the annotation again; if it comes back, its own`,
          "# options give it the address (flanneld --public-ip, --iface; calico-node IP)",
        ],
        hurts: hurtsOf(misled(chart, host, new Set())),
        otherwise: "warning",
      };
    });
  });
}

/** Nodes that tell a MAC which no tunnel device of theirs has. */
function staleMacs(chart: Chart): Suspicion[] {
  return chart.hosts.flatMap((host): Suspicion[] => {
    const ends = overlays(chart).flatMap(({ byNode }) => byNode.get(host.node) ?? []);
    const { macs } = told(chart, host.node);
    // A device that is not there at all is another fault.
    const stale = macs.size > ends.length ? [] : [...macs].filter((mac) => !ends.some((end) => end.link.mac === mac));
    const [end] = ends;
    if (end === undefined || stale.length === 0 || end.link.mac === null) return [];
    return [
      {
        id: "vtep-duplicate",
        at: host.place,
        summary: `Node ${host.node} tells the others ${stale.join(", ")} as the MAC of its end of the tunnel, and ${end.link.name} there has ${end.link.mac}: what they send to it is not taken`,
        evidence: [
          ...stale.flatMap((mac) => annotationOf(chart, host.node, mac)),
          chart.evidence(end.link.source, `${end.link.name}: link/ether ${end.link.mac}`),
        ],
        remedy: [
          `# restart the network's daemon on ${host.node} (flanneld, calico-node), which writes the annotation again`,
        ],
        hurts: hurtsOf(misled(chart, host, new Set(stale))),
        otherwise: "warning",
      },
    ];
  });
}

/** What two ends of one overlay have that only one may have. */
function shared(
  chart: Chart,
  ends: readonly TunnelEnd[],
  what: string,
  values: (end: TunnelEnd) => string[],
): Suspicion[] {
  const byNode = new Map(ends.map((end) => [end.host.node, end]));
  const holders = byValue([...byNode.keys()], (node) => values(byNode.get(node)!));
  return [...holders].flatMap(([value, nodes]): Suspicion[] => {
    const [first, second] = nodes;
    if (first === undefined || second === undefined) return [];
    const devices = nodes.map((node) => byNode.get(node)!);
    return [
      {
        id: "vtep-duplicate",
        at: devices[1]!.host.place,
        summary: `${devices[1]!.link.name} has the ${what} ${value} on ${first} and on ${nodes.slice(1).join(", ")}: the others can't tell these nodes apart`,
        evidence: devices.map((end) =>
          chart.evidence(end.link.source, `${end.link.name} of ${end.host.node}: ${what} ${value}`),
        ),
        remedy: [
          `# restart the network's daemon on ${second} after removing the device, so that it is made anew:`,
          `ip link del ${devices[1]!.link.name}`,
        ],
        hurts: hurtsOf(
          deathsOf(chart).filter((death) =>
            death.path.some((step) => (step.kind === "fdb" || step.kind === "neighbour") && step.text.includes(value)),
          ),
        ),
        otherwise: "warning",
      },
    ];
  });
}

function look(chart: Chart): Diagnosis {
  return {
    suspicions: [
      ...toldWrongly(chart),
      ...staleMacs(chart),
      ...overlays(chart).flatMap(({ ends }) => [
        ...shared(chart, ends, "MAC", (end) => (end.link.mac === null ? [] : [end.link.mac])),
        ...shared(chart, ends, "address", (end) => end.addresses.map(formatIp)),
        ...shared(chart, ends, "outer address", (end) => (end.local === null ? [] : [formatIp(end.local)])),
      ]),
    ],
  };
}

export const vtepDuplicate: Check = { ids: ["vtep-duplicate"], depth: "underlay", look };
