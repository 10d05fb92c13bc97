/** Who may send to whom in a snapshot: every sender and every target, before any choice among them. */
import { parseIp } from "../model/address.ts";
import type { Service, ServicePort } from "../model/cluster.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Proto } from "../model/walk.ts";
import { globalAddresses, hasEnded, type Directory, type PodEntry } from "../names/directory.ts";
import { isKubeProxys } from "./kube-proxys.ts";
import type { Sender, Target, Way } from "./target.ts";

const familyOf = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

const protoOf = (protocol: string): Proto | null => {
  const proto = protocol.toLowerCase();
  return proto === "tcp" || proto === "udp" || proto === "sctp" ? proto : null;
};

/** `ADDRESS:PORT` as `kubewalk walk` takes it. */
export function withPort(address: string, port: number, proto: Proto): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${port}${proto === "tcp" ? "" : `/${proto}`}`;
}

function isRunning(pod: PodEntry): boolean {
  return pod.object !== null && !hasEnded(pod) && pod.object.phase !== "Pending" && !pod.object.terminating;
}

/** Everyone who sends: pods that run and were recorded, nodes of the cluster, hosts beyond the fabric. */
export function senders(dir: Directory): Sender[] {
  const families = (ns: Namespace): Set<4 | 6> => new Set(globalAddresses(ns).map(familyOf));
  const found: Sender[] = [];
  for (const node of dir.nodes.keys()) {
    const ns = dir.places.get(`${node}/host`);
    if (ns !== undefined) found.push({ place: ns.place, kind: "node", node, pod: null, families: families(ns) });
  }
  for (const pod of dir.pods.values()) {
    if (!isRunning(pod) || pod.object === null || pod.object.hostNetwork || pod.at === null) continue;
    found.push({ place: pod.at.place, kind: "pod", node: pod.at.node, pod: pod.object, families: families(pod.at) });
  }
  for (const name of dir.snapshot.fabric?.external ?? []) {
    const ns = dir.places.get(`${name}/host`);
    if (ns !== undefined)
      found.push({ place: ns.place, kind: "outside", node: name, pod: null, families: families(ns) });
  }
  return found;
}

function serviceTarget(service: Service, port: ServicePort, way: Way, address: string, node: string | null): Target[] {
  const proto = protoOf(port.protocol);
  const number = way === "nodePort" ? port.nodePort : port.port;
  if (proto === null || number === null || parseIp(address) === null) return [];
  const suffix = proto === "tcp" ? "" : `/${proto}`;
  // A Service's second address has no short name.
  const first = way === "clusterIP" && service.clusterIPs[0] === address;
  const to = first
    ? `svc:${service.namespace}/${service.name}:${port.port}${suffix}`
    : withPort(address, number, proto);
  return [{ aim: { kind: "service", service, port, way, node }, to, proto, address, port: number }];
}

function serviceTargets(dir: Directory, nodeAddresses: ReadonlyMap<string, readonly string[]>): Target[] {
  return [...dir.services.values()]
    .filter(isKubeProxys)
    .flatMap((service) =>
      service.ports.flatMap((port) => [
        ...service.clusterIPs.flatMap((ip) => serviceTarget(service, port, "clusterIP", ip, null)),
        ...service.externalIPs.flatMap((ip) => serviceTarget(service, port, "externalIP", ip, null)),
        ...service.loadBalancerIPs.flatMap((ip) => serviceTarget(service, port, "loadBalancer", ip, null)),
        ...(port.nodePort === null
          ? []
          : [...nodeAddresses].flatMap(([node, ips]) =>
              ips.flatMap((ip) => serviceTarget(service, port, "nodePort", ip, node)),
            )),
      ]),
    );
}

/** Ports on which something in a pod listens for everyone, else those that its containers declare. */
function podPorts(pod: PodEntry): { proto: Proto; port: number }[] {
  const found = new Map<string, { proto: Proto; port: number }>();
  const add = (proto: Proto | null, port: number): void => {
    if (proto !== null) found.set(`${proto} ${port}`, { proto, port });
  };
  for (const each of pod.object?.ports ?? []) add(protoOf(each.protocol), each.containerPort);
  return [...found.values()];
}

/** Whether a hostPort with this hostIP is one of `address`: the unspecified address stands for all of its own family (portmap). */
function leadsTo(hostIP: string | null, address: string): boolean {
  if (hostIP === null || hostIP === "") return true;
  if (hostIP === "0.0.0.0") return !address.includes(":");
  return hostIP === "::" ? address.includes(":") : hostIP === address;
}

function podTargets(pod: PodEntry, nodeAddresses: ReadonlyMap<string, readonly string[]>): Target[] {
  const object = pod.object;
  if (object === null || !isRunning(pod) || object.hostNetwork) return [];
  const place = pod.at?.place ?? null;
  const ports = podPorts(pod);
  const direct = pod.ips.flatMap((address): Target[] => {
    const short = address === pod.ips[0] ? `pod:${pod.id}` : null;
    const icmp: Target = { aim: { kind: "pod", pod: object, place }, to: short ?? address, proto: "icmp", address };
    return [
      icmp,
      ...ports.map(({ proto, port }): Target => {
        const suffix = proto === "tcp" ? "" : `/${proto}`;
        const to = short === null ? withPort(address, port, proto) : `${short}:${port}${suffix}`;
        return { aim: { kind: "pod", pod: object, place }, to, proto, address, port };
      }),
    ];
  });
  const hostPorts = object.ports.flatMap((each): Target[] => {
    const proto = protoOf(each.protocol);
    const node = object.node;
    if (each.hostPort === null || proto === null || node === null) return [];
    const { hostPort, hostIP, containerPort } = each;
    return (nodeAddresses.get(node) ?? [])
      .filter((ip) => leadsTo(hostIP, ip))
      .map((address) => ({
        aim: { kind: "hostPort", pod: object, node, containerPort },
        to: withPort(address, hostPort, proto),
        proto,
        address,
        port: hostPort,
      }));
  });
  return [...direct, ...hostPorts];
}

/** Everything that someone sends to: Services by all of their addresses, pods, hostPorts, nodes, hosts beyond the fabric. */
export function targets(dir: Directory): Target[] {
  const nodeAddresses = new Map(
    [...dir.nodes.values()].map((node) => [
      node.name,
      node.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address),
    ]),
  );
  const outside = (dir.snapshot.fabric?.external ?? []).flatMap((name): Target[] => {
    const ns = dir.places.get(`${name}/host`);
    return ns === undefined
      ? []
      : globalAddresses(ns).map((address) => ({
          aim: { kind: "outside", place: ns.place },
          to: address,
          proto: "icmp",
          address,
        }));
  });
  return [
    ...serviceTargets(dir, nodeAddresses),
    ...[...dir.pods.values()].flatMap((pod) => podTargets(pod, nodeAddresses)),
    ...[...nodeAddresses].flatMap(([node, ips]) =>
      ips.map((address): Target => ({ aim: { kind: "node", node }, to: address, proto: "icmp", address })),
    ),
    ...outside,
  ];
}
