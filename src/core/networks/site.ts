/**
 * What networks are computed from: the cluster's objects, each machine's own configuration, and of its kernel only what no program
 * decides: its own devices, and what was picked at random when a device was made.
 */
import type { Cluster, Node } from "../model/cluster.ts";
import type { Source } from "../model/source.ts";

/** A file of a machine. */
export interface MachineFile {
  text: string;
  /** Its first line in the snapshot. */
  source: Source;
}

/** How a program was started: `env A=B program -flag value`. */
export interface CommandLine {
  env: ReadonlyMap<string, string>;
  /** The program's name without its folder. */
  program: string;
  /** Its arguments as they stand. */
  words: readonly string[];
  source: Source;
}

/** A device that the machine brought with it: nothing that kubewalk knows of made it. */
export interface OwnDevice {
  index: number;
  name: string;
  mac: string | null;
  mtu: number;
  /** With prefix lengths, `172.30.0.11/24`. */
  addresses: string[];
}

/** A pod's network namespace on this machine. */
export interface Sandbox {
  /** `n1/pod/shop/web-1`. */
  place: string;
  pod: { namespace: string; name: string };
  /** Containers' id is not recorded; the path of the namespace is: `/run/netns/cni-…`. */
  path: string | null;
  /** The device within, nearly always eth0; null when it is not there. */
  device: { index: number; name: string; mac: string | null } | null;
  /** The other end of its veth pair, on the host; null when there is none. */
  hostDevice: { index: number; name: string; mac: string | null } | null;
}

export interface Machine {
  /** Name of the machine, and of its Kubernetes node when it is one. */
  name: string;
  /** Place of its root namespace, `n1/host`. */
  place: string;
  /** Its Node object; null for machines beyond the cluster (control plane without kubelet, routers, hosts outside). */
  node: Node | null;
  devices: OwnDevice[];
  sandboxes: Sandbox[];
  /** MAC address that a device of this name has here: bridges and tunnels draw one when they are made. Null when there is no such device. */
  macOf(device: string): string | null;
  /** How a program was started there; null when it was not recorded. */
  command(program: string): CommandLine | null;
  /** A file of the machine by its absolute path (`/etc/cni/net.d/10-flannel.conflist`), or of programs/ by its name there (`kube-proxy.yaml`). */
  file(path: string): MachineFile | null;
  /** Absolute paths of its recorded files that begin with `prefix`, sorted. */
  files(prefix: string): string[];
}

export interface Site {
  cluster: Cluster;
  /** Every machine of the snapshot, in its order. */
  machines: Machine[];
}

/** The machines that are nodes of the cluster. */
export function nodesOf(site: Site): (Machine & { node: Node })[] {
  return site.machines.filter((machine): machine is Machine & { node: Node } => machine.node !== null);
}
