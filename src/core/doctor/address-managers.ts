/** Who gives a machine's pods their addresses, as its CNI configuration says. */
import { object, text } from "../networks/raw.ts";
import { cniNetworkOf } from "../networks/cni/conflist.ts";
import type { Machine } from "../networks/site.ts";

/** Whether Calico's IPAM does; false when no CNI configuration was recorded. */
export function usesCalicoIpam(machine: Machine): boolean {
  const network = cniNetworkOf(machine);
  return network?.plugins.some(({ conf }) => text(object(conf["ipam"])["type"]) === "calico-ipam") ?? false;
}

/** Ranges that an `ipam` object of host-local names, `usePodCidr` (Calico's CNI plugin) as it stands. */
export function namedSubnets(ipam: Readonly<Record<string, unknown>>): string[] {
  const subnet = (value: unknown): string[] => {
    const found = text(object(value)["subnet"]);
    return found === null ? [] : [found];
  };
  const listed = Array.isArray(ipam["ranges"]) ? ipam["ranges"].flatMap((set) => (Array.isArray(set) ? set : [])) : [];
  return [...subnet(ipam), ...listed.flatMap(subnet)];
}

const KUBE_SUBNETS = "flannel.alpha.coreos.com/kube-subnet-manager";

/** Whether flannel's daemon runs there and takes the machine's subnet from its Node object (`-kube-subnet-mgr`), not from etcd. */
export function usesKubeSubnets(machine: Machine): boolean {
  const noted = machine.node?.annotations[KUBE_SUBNETS] === "true";
  const command = machine.command("flanneld");
  if (command === null) return noted;
  const flag = command.words.find((word) => /^--?kube-subnet-mgr(=|$)/.test(word));
  return flag === undefined ? noted : !flag.endsWith("=false");
}

/**
 * Whether the machine's pods get addresses of its Node's podCIDR: by flannel with Kubernetes as its store, by `usePodCidr`, or by ranges
 * that lie in it.
 */
export function followsPodCidrs(machine: Machine): boolean {
  const network = cniNetworkOf(machine);
  if (network?.plugins.some(({ type }) => type === "flannel") === true || machine.command("flanneld") !== null)
    return usesKubeSubnets(machine);
  const subnets = network?.plugins.flatMap(({ conf }) => namedSubnets(object(conf["ipam"]))) ?? [];
  return subnets.some((subnet) => /^usePodCidr/i.test(subnet) || machine.node?.podCIDRs.includes(subnet) === true);
}
