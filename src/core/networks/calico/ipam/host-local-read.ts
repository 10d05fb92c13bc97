/** host-local's state on a machine: its ranges from the CNI configuration, what is given out from the files that it keeps. */
import { formatIp, parseIp, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Machine } from "../../site.ts";
import { localRange, type LocalRange, type LocalState, type RangeSet } from "./host-local.ts";
import { list, object, text, type Raw } from "./raw.ts";

/** Folder in which host-local keeps its files, when `dataDir` does not say another. */
const DATA_DIR = "/var/lib/cni/networks";

function parsed(json: string): Raw {
  try {
    return object(JSON.parse(json));
  } catch {
    return {};
  }
}

/** The CNI configuration that the machine's runtime uses: the first file of /etc/cni/net.d; null when there is none. */
export function cniConfig(machine: Machine): Raw | null {
  const path = machine.files("/etc/cni/net.d/").find((each) => /\.(?:conf|conflist|json)$/.test(each));
  const file = path === undefined ? null : machine.file(path);
  return file === null ? null : parsed(file.text);
}

/** The plugins of a configuration: of a list, or the one that it is itself. */
export function pluginsOf(config: Raw): Raw[] {
  return Array.isArray(config["plugins"]) ? config["plugins"].map(object) : [config];
}

/** A range of the configuration; `usePodCidr` and the like are the node's podCIDR of that family (Calico's CNI plugin, utils.go). */
function rangeOf(given: Raw, machine: Machine): LocalRange | null {
  const subnet = text(given["subnet"]) ?? "";
  const podCidr = /^usePodCidr(IPv6)?$/i.exec(subnet);
  const wanted = podCidr?.[1] === undefined ? 4 : 6;
  const prefix =
    podCidr === null
      ? parsePrefix(subnet)
      : (machine.node?.podCIDRs.map(parsePrefix).find((each) => each?.ip.v === wanted) ?? null);
  if (prefix === null) return null;
  const ip = (name: string): ReturnType<typeof parseIp> => parseIp(text(given[name]) ?? "");
  return localRange(prefix, { start: ip("rangeStart"), end: ip("rangeEnd"), gateway: ip("gateway") });
}

const present = <T>(value: T | null): value is T => value !== null;

/** Range sets of an `ipam` part: `ranges`, and before them the one that older configurations write without (allocator/config.go). */
function rangesOf(ipam: Raw, machine: Machine): LocalRange[][] {
  const many = list(ipam["ranges"]).map((set) =>
    list(set)
      .map((each) => rangeOf(object(each), machine))
      .filter(present),
  );
  const one = text(ipam["subnet"]) === null ? null : rangeOf(ipam, machine);
  return [...(one === null ? [] : [[one]]), ...many].filter((set) => set.length > 0);
}

/** The subnets that flannel's daemon wrote for its CNI plugin, which hands them to host-local. */
function flannelSubnets(machine: Machine): Prefix[] {
  const env = machine.file("/run/flannel/subnet.env")?.text ?? "";
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(env)?.[1] ?? "";
  return [value("FLANNEL_SUBNET"), value("FLANNEL_IPV6_SUBNET")].map(parsePrefix).filter(present);
}

/** host-local's state on the machine; null when its CNI configuration does not use it, or says no range. */
export function readHostLocal(machine: Machine): LocalState | null {
  const config = cniConfig(machine);
  if (config === null) return null;
  const network = text(config["name"]) ?? "";
  const plugins = pluginsOf(config);
  const flannel = plugins.some((plugin) => plugin["type"] === "flannel");
  const ipam = plugins.map((plugin) => object(plugin["ipam"])).find((each) => each["type"] === "host-local");
  const ranges = flannel
    ? flannelSubnets(machine).map((prefix) => [localRange(prefix)])
    : ipam === undefined
      ? []
      : rangesOf(ipam, machine);
  if (ranges.length === 0) return null;
  const folder = `${text(ipam?.["dataDir"]) ?? DATA_DIR}/${network}/`;
  const sets = ranges.map((set, i): RangeSet => {
    const last = machine.file(`${folder}last_reserved_ip.${i}`)?.text.trim();
    return { ranges: set, last: last === undefined ? null : parseIp(last) };
  });
  const taken = new Map<string, { container: string; device: string | null }>();
  for (const path of machine.files(folder)) {
    const ip = parseIp(path.slice(folder.length));
    if (ip === null) continue;
    const [container, device] = (machine.file(path)?.text ?? "").split(/\r?\n/);
    taken.set(formatIp(ip), { container: container ?? "", device: device || null });
  }
  return { node: machine.name, network, sets, taken };
}
