/** Ids of pods' sandboxes, which name chains: no Kubernetes object has them, but several programs write them down. */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Machine } from "../site.ts";
import { reservationsOf } from "./host-local.ts";
import { fieldOf, parseObject, reader } from "./json-config.ts";
import { IntentError } from "../network.ts";

/** Where libcni keeps the result of each ADD, `NETWORK-CONTAINER-IFNAME` (libcni, getCacheFilePath). */
const RESULTS = "/var/lib/cni/results/";

/** Calico's CNI plugin writes the id beside the addresses (cni-plugin/internal/pkg/k8s). */
const CALICO = "cni.projectcalico.org/containerID";

/** `K8S_POD_NAMESPACE/K8S_POD_NAME` to the container's id, of libcni's cache of one network (libcni, cachedInfo). */
function cached(machine: Machine, network: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of machine.files(RESULTS)) {
    const file = machine.file(path);
    if (file === null) continue;
    try {
      const info = reader(parseObject(file.text, file.source.file), file.source.file);
      const args = new Map((fieldOf(parseObject(file.text, path), "cniArgs") ?? []) as [string, string][]);
      const id = info.text("containerId");
      const pod = `${args.get("K8S_POD_NAMESPACE")}/${args.get("K8S_POD_NAME")}`;
      if (info.text("networkName") === network && id !== null) found.set(pod, id);
    } catch (error) {
      // A file that is no cache entry says nothing.
      if (!(error instanceof IntentError)) throw error;
    }
  }
  return found;
}

/**
 * A function from pods of this machine to the ids of their sandboxes in `network`: from libcni's cache, else from Calico's annotation,
 * else from the file that host-local keeps for the pod's address. Null when none of them was recorded.
 */
export function containerIds(machine: Machine, network: string, dataDir?: string): (pod: Pod) => string | null {
  const results = cached(machine, network);
  const byAddress = new Map(reservationsOf(machine, network, dataDir).map((each) => [each.ip, each.containerId]));
  return (pod) => {
    const known = results.get(`${pod.namespace}/${pod.name}`) ?? pod.annotations[CALICO];
    if (known !== undefined && known !== "") return known;
    for (const text of pod.ips) {
      const ip = parseIp(text);
      const id = ip === null ? undefined : byAddress.get(formatIp(ip));
      if (id !== undefined) return id;
    }
    return null;
  };
}
