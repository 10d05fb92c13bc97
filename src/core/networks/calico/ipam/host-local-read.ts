/** host-local's state on a machine: its ranges from the CNI configuration, what is given out from the files that it keeps. */
import { parseIp } from "../../../model/address.ts";
import { cniNetworkOf, type CniNetwork } from "../../cni/conflist.ts";
import { flannelDelegate } from "../../cni/flannel-delegate.ts";
import { DATA_DIR, rangeSets, reservationsOf } from "../../cni/host-local.ts";
import type { JsonObject } from "../../cni/json-config.ts";
import { IntentError } from "../../network.ts";
import type { Machine } from "../../site.ts";
import type { LocalState, RangeSet } from "./host-local.ts";
import { list, object, text, type Raw } from "../../raw.ts";

/** The `ipam` part by which pods get their addresses of host-local: of a plugin of the network, or of the one that flannel's calls. */
function hostLocalOf(machine: Machine, network: CniNetwork): Raw | null {
  const plugins = network.plugins.map((each) => (each.type === "flannel" ? flannelDelegate(machine, each) : each));
  const parts = plugins.map((plugin) => object(plugin?.conf["ipam"]));
  return parts.find((ipam) => ipam["type"] === "host-local") ?? null;
}

/** `usePodCidr` and the like are the node's podCIDR of that family (Calico's CNI plugin, utils.go); without one nothing is left. */
function filledIn(given: Raw, machine: Machine): JsonObject[] {
  const podCidr = /^usePodCidr(IPv6)?$/i.exec(text(given["subnet"]) ?? "");
  if (podCidr === null) return [{ ...given }];
  const isV6 = podCidr[1] !== undefined;
  const own = machine.node?.podCIDRs.find((cidr) => cidr.includes(":") === isV6);
  return own === undefined ? [] : [{ ...given, subnet: own }];
}

/** The range sets of an `ipam` part; empty ones are left out. Throws IntentError for what is no range. */
function setsOf(ipam: Raw, machine: Machine, what: string): RangeSet["ranges"][] {
  const ranges = list(ipam["ranges"])
    .map((set) => list(set).flatMap((each) => filledIn(object(each), machine)))
    .filter((set) => set.length > 0);
  const [first] = text(ipam["subnet"]) === null ? [] : filledIn(ipam, machine);
  return rangeSets({ ...first, ranges }, what).map((set) =>
    set.map(({ subnet, start, end, gateway }) => ({ prefix: subnet, first: start, last: end, gateway })),
  );
}

/** host-local's state on the machine; null when its CNI configuration does not use it, or says no range. */
export function readHostLocal(machine: Machine): LocalState | null {
  const network = cniNetworkOf(machine);
  if (network === null) return null;
  try {
    const ipam = hostLocalOf(machine, network);
    const ranges = ipam === null ? [] : setsOf(ipam, machine, network.file);
    if (ranges.length === 0) return null;
    const dataDir = text(ipam?.["dataDir"]) ?? DATA_DIR;
    const sets = ranges.map((set, i): RangeSet => {
      const last = machine.file(`${dataDir}/${network.name}/last_reserved_ip.${i}`)?.text.trim();
      return { ranges: set, last: last === undefined ? null : parseIp(last) };
    });
    const taken = new Map(
      reservationsOf(machine, network.name, dataDir).map(({ ip, containerId, ifname }) => [
        ip,
        { container: containerId, device: ifname },
      ]),
    );
    return { node: machine.name, network: network.name, sets, taken };
  } catch (error) {
    // A configuration that its plugin refuses gives nobody an address.
    if (error instanceof IntentError) return null;
    throw error;
  }
}
