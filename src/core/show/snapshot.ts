/** A whole snapshot in a few numbers: kubewalk.show/v1 about a snapshot. */
import type { Directory } from "../names/directory.ts";
import { readyEndpoints } from "../names/dns.ts";
import { knownAddresses } from "../names/machines.ts";
import { protoOf } from "../names/service.ts";
import { showNamespace, type PeerOf } from "./namespace.ts";
import type { ShownNode, ShownSnapshot } from "./types.ts";

/** What is in a snapshot, what is missing from it and why. Order is the snapshot's own. */
export function showSnapshot(dir: Directory, peerOf: PeerOf): ShownSnapshot {
  const { snapshot } = dir;
  const nodeNames = new Set([...snapshot.nodes, ...dir.nodes.keys()]);
  const machine = (name: string): ShownNode => {
    const recorded = snapshot.namespaces.filter((ns) => ns.node === name);
    return { name, addresses: knownAddresses(dir, name), places: recorded.length };
  };
  return {
    format: "kubewalk.show/v1",
    about: "snapshot",
    takenAt: snapshot.takenAt,
    info: snapshot.info,
    nodes: [...nodeNames].map(machine),
    beside: [...dir.machines].filter((m) => !nodeNames.has(m)).map(machine),
    pods: [...dir.pods.values()].map((pod) => ({
      namespace: pod.namespace,
      name: pod.name,
      node: pod.node,
      phase: pod.object?.phase ?? null,
      hostNetwork: pod.object?.hostNetwork ?? false,
      addresses: pod.ips,
      place: pod.at?.place ?? null,
    })),
    services: [...dir.services.values()].map((s) => ({
      namespace: s.namespace,
      name: s.name,
      type: s.headless ? "Headless" : s.type,
      addresses: s.externalName === null ? [...s.clusterIPs, ...s.loadBalancerIPs, ...s.externalIPs] : [s.externalName],
      ports: s.ports.map((p) => `${p.port}/${protoOf(p.protocol)}`),
      readyEndpoints: new Set(readyEndpoints(dir, s).flatMap(({ endpoint }) => endpoint.addresses)).size,
    })),
    namespaces: snapshot.namespaces.map((ns) => showNamespace(ns, peerOf)),
    segments:
      snapshot.fabric === null ? null : snapshot.fabric.segments.map(({ name, attached }) => ({ name, attached })),
    missing: [...snapshot.cluster.missing].map(([resource, reason]) => ({ resource, reason })),
    problems: snapshot.problems.map(({ source: { file, line }, message }) => ({
      file,
      line,
      // The error's own text begins with its place.
      message: message.replace(`${file}:${line}: `, ""),
    })),
  };
}
