/** Ports of a pod that its host forwards to it. */
import type { Pod } from "../../model/cluster.ts";

/** As the runtime hands it to portmap (CNI's capability portMappings). */
export interface PortMapping {
  hostPort: number;
  containerPort: number;
  /** tcp, udp, sctp. */
  protocol: string;
  hostIP: string | null;
}

/**
 * The mappings of a pod's containers in their order: ports with a hostPort, the first of those with one name (kubelet, pkg/kubelet/container,
 * MakePortMappings; containerd, toCNIPortMappings).
 */
export function portMappings(pod: Pod): PortMapping[] {
  const seen = new Set<string>();
  return pod.ports.flatMap((port) => {
    const unnamed = `${port.protocol}-${port.hostIP ?? ""}:${port.containerPort}:${port.hostPort ?? 0}`;
    const key = port.name ?? unnamed;
    if (seen.has(key)) return [];
    seen.add(key);
    if (port.hostPort === null || port.hostPort <= 0) return [];
    return [
      {
        hostPort: port.hostPort,
        containerPort: port.containerPort,
        protocol: port.protocol.toLowerCase(),
        hostIP: port.hostIP,
      },
    ];
  });
}
