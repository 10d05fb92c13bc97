/** For tests: clusters and machines of a few objects. */
import type { Cluster } from "../../../model/cluster.ts";
import { emptyCluster, parseClusterResource } from "../../../parse/cluster.ts";
import type { CommandLine, Machine, Sandbox, Site } from "../../site.ts";

type Json = Record<string, unknown>;

const SOURCE = { file: "test", line: 1 };

/** A cluster of objects by resource, as `kubectl get RESOURCE -A -o json` names and shows them. */
export function clusterOf(objects: Record<string, readonly Json[]>): Cluster {
  const cluster = emptyCluster();
  for (const [resource, items] of Object.entries(objects))
    parseClusterResource(JSON.stringify({ kind: "List", items }), `${resource}.json`, resource, cluster);
  return cluster;
}

/** A running pod on a node. */
export function pod(namespace: string, name: string, ip: string | string[], nodeName: string, more: Json = {}): Json {
  const ips = [ip].flat();
  const { labels = {}, annotations = {}, ...spec } = more;
  return {
    kind: "Pod",
    metadata: { namespace, name, labels, annotations },
    spec: { nodeName, containers: [{ name: "main" }], ...spec },
    status: { phase: "Running", podIP: ips[0], podIPs: ips.map((each) => ({ ip: each })) },
  };
}

/** A node as calico-node leaves it; `address` with its prefix length, other annotations without `projectcalico.org/`. */
export function node(name: string, address: string, more: Record<string, string> = {}, labels: Json = {}): Json {
  const annotations = Object.entries({ IPv4Address: address, ...more }).map(([key, value]) => [
    `projectcalico.org/${key}`,
    value,
  ]);
  return {
    kind: "Node",
    metadata: { name, labels, annotations: Object.fromEntries(annotations) },
    spec: {},
    status: { addresses: [{ type: "InternalIP", address: address.split("/", 1)[0] }] },
  };
}

const CNI_FILE = "/etc/cni/net.d/10-calico.conflist";
const CNI = JSON.stringify({ name: "k8s-pod-network", plugins: [{ type: "calico", ipam: { type: "calico-ipam" } }] });

/** A machine with `eth0`, on which Felix runs with these variables; a router has more addresses, and no Felix. */
export function machine(
  cluster: Cluster,
  name: string,
  addresses: readonly string[],
  env: Record<string, string> = {},
  sandboxes: Sandbox[] = [],
): Machine {
  const felix: CommandLine = { env: new Map(Object.entries(env)), program: "calico-felix", words: [], source: SOURCE };
  const own = cluster.nodes.find((each) => each.name === name) ?? null;
  return {
    name,
    place: `${name}/host`,
    node: own,
    devices: addresses.map((address, i) => ({
      index: i + 2,
      name: `eth${i}`,
      mac: null,
      mtu: 1500,
      addresses: [address],
    })),
    sandboxes,
    macOf: () => null,
    command: (program) => (own !== null && program === "calico-felix" ? felix : null),
    file: (path) => (own !== null && path === CNI_FILE ? { text: CNI, source: SOURCE } : null),
    files: (prefix) => (own !== null && CNI_FILE.startsWith(prefix) ? [CNI_FILE] : []),
  };
}

export function siteOf(cluster: Cluster, machines: Machine[]): Site {
  return { cluster, machines };
}
