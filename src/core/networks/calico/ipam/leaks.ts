/** Addresses that were given out and that nobody has, and the other way round. */
import { formatIp, inPrefix, parseIp } from "../../../model/address.ts";
import type { Cluster, Pod } from "../../../model/cluster.ts";
import { WINDOWS_HANDLE } from "./read.ts";
import type { LocalState } from "./host-local.ts";
import { inSet } from "./host-local.ts";
import { nth } from "./range.ts";
import type { PodAddress, ReportedLeak } from "./report-types.ts";
import { ownerName, type Allocation, type Block, type IpamState } from "./state.ts";

const finished = (pod: Pod): boolean => pod.phase === "Succeeded" || pod.phase === "Failed";

/** Pods that have addresses of their own, with these in their one way of writing. Calico's CNI plugin notes them before kubelet does. */
function podAddresses(cluster: Cluster): { pod: Pod; addresses: string[] }[] {
  return cluster.pods
    .filter((pod) => !pod.hostNetwork)
    .map((pod) => {
      const noted =
        pod.annotations["cni.projectcalico.org/podIPs"] ?? pod.annotations["cni.projectcalico.org/podIP"] ?? "";
      const texts = pod.ips.length > 0 ? pod.ips : noted.split(",").map((each) => each.replace(/\/\d+$/, ""));
      const ips = texts.map(parseIp).filter((ip) => ip !== null);
      return { pod, addresses: ips.map(formatIp) };
    });
}

/** Why nobody has the address; null when somebody has, or nobody can tell (kube-controllers, node/ipam.go allocationIsValid). */
function whyLeaked(
  cluster: Cluster,
  pods: ReadonlyMap<string, Pod>,
  address: string,
  { attributes }: Allocation,
): string | null {
  const { namespace, pod: name, node, type } = attributes;
  if (type !== undefined && namespace === undefined) {
    const gone = node !== undefined && !cluster.nodes.some((each) => each.name === node);
    return gone ? `it is a ${type} of node ${node}, which is gone` : null;
  }
  if (namespace === undefined || name === undefined) return null;
  const pod = pods.get(`${namespace}/${name}`);
  if (pod === undefined) return `pod ${namespace}/${name} is gone`;
  if (pod.node !== null && node !== undefined && pod.node !== node)
    return `pod ${namespace}/${name} is on node ${pod.node}, not on ${node}`;
  const own = podAddresses({ ...cluster, pods: [pod] })[0]?.addresses ?? [];
  if (own.length === 0 || own.includes(address)) return null;
  return `pod ${namespace}/${name} has ${own.join(", ")}`;
}

function leaksOf(cluster: Cluster, pods: ReadonlyMap<string, Pod>, key: string, block: Block): ReportedLeak[] {
  return [...block.allocations.values()].flatMap((allocation): ReportedLeak[] => {
    if (allocation.handle?.toLowerCase() === WINDOWS_HANDLE) return [];
    const address = formatIp(nth(block.prefix, allocation.ordinal));
    const because = whyLeaked(cluster, pods, address, allocation);
    if (because === null) return [];
    const { namespace, pod: name, node } = allocation.attributes;
    const pod = namespace === undefined || name === undefined ? null : { namespace, name };
    const owner = node ?? (block.owner === null ? null : ownerName(block.owner));
    return [{ address, from: key, node: owner, handle: allocation.handle, pod, because }];
  });
}

/** Addresses that Calico gave out and nobody has. Addresses of tunnels and of LoadBalancer Services count only when their node is gone. */
export function calicoLeaks(cluster: Cluster, state: IpamState): ReportedLeak[] {
  const pods = new Map(cluster.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  return [...state.blocks].flatMap(([key, block]) => leaksOf(cluster, pods, key, block));
}

/** Addresses that host-local gave out on a node where no pod has them. */
export function localLeaks(cluster: Cluster, state: LocalState): ReportedLeak[] {
  const here = new Set(
    podAddresses(cluster)
      .filter(({ pod }) => pod.node === state.node)
      .flatMap(({ addresses }) => addresses),
  );
  return [...state.taken].flatMap(([address, { container }]): ReportedLeak[] => {
    if (here.has(address)) return [];
    const because = `no pod on node ${state.node} has it`;
    return [{ address, from: state.network, node: state.node, handle: container || null, pod: null, because }];
  });
}

/** Running pods with an address of a pool or range in which it was not given out. */
export function unrecordedAddresses(
  cluster: Cluster,
  state: IpamState | null,
  local: ReadonlyMap<string, LocalState>,
): PodAddress[] {
  const given = new Set(
    [...(state?.blocks.values() ?? [])].flatMap((block) =>
      [...block.allocations.keys()].map((ordinal) => formatIp(nth(block.prefix, ordinal))),
    ),
  );
  return podAddresses(cluster).flatMap(({ pod, addresses }) => {
    if (pod.node === null || finished(pod)) return [];
    const here = local.get(pod.node);
    const lost = addresses.filter((address) => {
      const ip = parseIp(address)!;
      if (state?.pools.some((pool) => inPrefix(ip, pool.prefix)) === true) return !given.has(address);
      // Without a single file there is no telling whether the folder was recorded.
      return (
        here !== undefined && here.taken.size > 0 && here.sets.some((set) => inSet(set, ip)) && !here.taken.has(address)
      );
    });
    return lost.map((address) => ({ address, namespace: pod.namespace, name: pod.name, node: pod.node }));
  });
}

/** Addresses that several running pods have. */
export function duplicateAddresses(
  cluster: Cluster,
): { address: string; pods: { namespace: string; name: string }[] }[] {
  const holders = new Map<string, { namespace: string; name: string }[]>();
  for (const { pod, addresses } of podAddresses(cluster)) {
    if (finished(pod)) continue;
    for (const address of addresses) {
      const found = holders.get(address) ?? [];
      found.push({ namespace: pod.namespace, name: pod.name });
      holders.set(address, found);
    }
  }
  return [...holders].filter(([, pods]) => pods.length > 1).map(([address, pods]) => ({ address, pods }));
}
