/** What two snapshots are asked by default: every Service from every node and a pod of each, and these pods of one another. */
import type { Pod, Service } from "../model/cluster.ts";
import type { Proto, Question } from "../model/walk.ts";
import { createDirectory, type Directory } from "../names/directory.ts";
import type { Snapshot } from "../model/snapshot.ts";

/** One question, and what it is in each snapshot: addresses may differ. */
export interface PairedQuestion {
  from: string;
  proto: Proto;
  to: string;
  port?: number;
  before: Question;
  after: Question;
}

const protoOf = (protocol: string): Proto => (protocol === "UDP" ? "udp" : protocol === "SCTP" ? "sctp" : "tcp");

const familyOf = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

/** The pod of each node by which the node's pods are judged: the first by name that runs in both snapshots and was recorded. */
function podsOfNodes(before: Directory, after: Directory): { node: string; place: string; pods: [Pod, Pod] }[] {
  const runs = (dir: Directory, id: string): Pod | null => {
    const entry = dir.pods.get(id);
    const pod = entry?.object ?? null;
    return pod !== null && entry?.at !== null && !pod.hostNetwork && pod.phase === "Running" ? pod : null;
  };
  const found = new Map<string, { node: string; place: string; pods: [Pod, Pod] }>();
  for (const id of [...before.pods.keys()].toSorted()) {
    const [a, b] = [runs(before, id), runs(after, id)];
    const place = before.pods.get(id)?.at?.place;
    if (a === null || b === null || place === undefined || place !== after.pods.get(id)?.at?.place) continue;
    if (a.node !== null && !found.has(a.node)) found.set(a.node, { node: a.node, place, pods: [a, b] });
  }
  return [...found.values()];
}

interface Aim {
  to: string;
  proto: Proto;
  before: { to: string; port?: number };
  after: { to: string; port?: number };
}

/** Addresses of one kind, laid beside each other by family. */
function pairs(before: readonly string[], after: readonly string[]): [string, string][] {
  return ([4, 6] as const).flatMap((family): [string, string][] => {
    const [a, b] = [before, after].map((list) => list.filter((each) => familyOf(each) === family));
    return a!.flatMap((address, i): [string, string][] => {
      const other = b!.includes(address) ? address : b![i];
      return other === undefined ? [] : [[address, other]];
    });
  });
}

function serviceAims(a: Service, b: Service): Aim[] {
  const name = `svc:${a.namespace}/${a.name}`;
  const addresses = [
    ...pairs(a.clusterIPs, b.clusterIPs),
    ...pairs(a.externalIPs, b.externalIPs),
    ...pairs(a.loadBalancerIPs, b.loadBalancerIPs),
  ];
  return a.ports.flatMap((port) => {
    const other = b.ports.find(
      (each) =>
        each.protocol === port.protocol && (each.port === port.port || (port.name !== "" && each.name === port.name)),
    );
    if (other === undefined) return [];
    const suffix = port.protocol === "TCP" ? "" : `/${port.protocol.toLowerCase()}`;
    return addresses.map(([x, y], i): Aim => ({
      to: i === 0 ? `${name}:${port.port}${suffix}` : `${name}:${port.port}${suffix} at ${x}`,
      proto: protoOf(port.protocol),
      before: { to: x, port: port.port },
      after: { to: y, port: other.port },
    }));
  });
}

/** A Service's node port at the asker's own node. */
function nodePortAims(a: Service, b: Service, node: string, before: Directory, after: Directory): Aim[] {
  const address = (dir: Directory): string | undefined =>
    dir.nodes.get(node)?.addresses.find((each) => each.type === "InternalIP")?.address;
  const [x, y] = [address(before), address(after)];
  if (x === undefined || y === undefined) return [];
  return a.ports.flatMap((port): Aim[] => {
    const other = b.ports.find((each) => each.protocol === port.protocol && each.port === port.port);
    const nodePort = other?.nodePort ?? null;
    if (port.nodePort === null || nodePort === null) return [];
    return [
      {
        to: `node:${node}:${port.nodePort}${port.protocol === "TCP" ? "" : `/${port.protocol.toLowerCase()}`}`,
        proto: protoOf(port.protocol),
        before: { to: x, port: port.nodePort },
        after: { to: y, port: nodePort },
      },
    ];
  });
}

/**
 * The default questions, in the order of Services and askers; at most `most` of them, spread over all, and how many were left out. Askers
 * are the nodes, a pod of each, and hosts beyond the fabric, as far as both snapshots have them.
 */
export function defaultQuestions(
  before: Snapshot,
  after: Snapshot,
  most: number,
): { questions: PairedQuestion[]; left: number } {
  const dirs = [createDirectory(before), createDirectory(after)] as const;
  const pods = podsOfNodes(...dirs);
  const nodes = [...dirs[0].nodes.keys()].filter(
    (node) => dirs[0].places.has(`${node}/host`) && dirs[1].places.has(`${node}/host`),
  );
  const outside = (before.fabric?.external ?? []).filter(
    (host) => dirs[0].places.has(`${host}/host`) && dirs[1].places.has(`${host}/host`),
  );
  const askers = [
    ...nodes.map((node) => ({ place: `${node}/host`, node })),
    ...pods.map(({ place, node }) => ({ place, node })),
    ...outside.map((host) => ({ place: `${host}/host`, node: null })),
  ];
  const makers: (() => PairedQuestion[])[] = [];
  const ask = (from: string, aims: readonly Aim[]): PairedQuestion[] =>
    aims.map((aim) => ({
      from,
      proto: aim.proto,
      to: aim.to,
      before: { from, proto: aim.proto, ...aim.before },
      after: { from, proto: aim.proto, ...aim.after },
    }));
  for (const [id, service] of dirs[0].services) {
    const other = dirs[1].services.get(id);
    if (other === undefined) continue;
    const aims = serviceAims(service, other);
    for (const { place, node } of askers) {
      const own = node === null ? (nodes[0] ?? null) : node;
      makers.push(() => ask(place, own === null ? aims : [...aims, ...nodePortAims(service, other, own, ...dirs)]));
    }
  }
  for (const from of pods) {
    for (const to of pods) {
      if (from.place === to.place) continue;
      makers.push(() =>
        ask(
          from.place,
          pairs(to.pods[0].ips, to.pods[1].ips).map(([x, y]) => ({
            to: `pod:${to.pods[0].namespace}/${to.pods[0].name}${familyOf(x) === 6 ? " (IPv6)" : ""}`,
            proto: "icmp",
            before: { to: x },
            after: { to: y },
          })),
        ),
      );
    }
  }
  // Those that are left out are spread evenly, too: every asker and every Service keeps some.
  const all = makers.flatMap((make) => make());
  const left = Math.max(0, all.length - most);
  const questions =
    left === 0 ? all : Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]!);
  return { questions, left };
}
