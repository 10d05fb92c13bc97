/** host-local: hands out addresses of ranges, and keeps one file for each. */
import {
  compareIp,
  formatIp,
  inPrefix,
  ip4,
  ip6,
  parseIp,
  parsePrefix,
  type Ip,
  type Prefix,
} from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import { IntentError } from "../network.ts";
import type { Machine } from "../site.ts";
import { reader, type JsonObject } from "./json-config.ts";

/** A range of addresses; `start` and `end` belong to it. */
export interface AddressRange {
  subnet: Prefix;
  start: Ip;
  end: Ip;
  gateway: Ip;
}

/** The address `n` above `ip`; `n` is small, but may carry over. */
function plus(ip: Ip, n: 1 | -1): Ip {
  if (ip.v === 4) return ip4(ip.a + n);
  const words = [ip.a, ip.b, ip.c, ip.d].map((word) => word >>> 0);
  for (let i = 3; i >= 0; i--) {
    const next = words[i]! + n;
    words[i] = next >>> 0;
    if (next >= 0 && next <= 0xffffffff) break;
  }
  return ip6(words[0]!, words[1]!, words[2]!, words[3]!);
}

/** Its last address; without IPv4's broadcast. */
function lastOf(subnet: Prefix): Ip {
  const fill = (word: number, i: number): number => {
    const bits = subnet.len - 32 * i;
    return bits >= 32 ? word : word | (bits <= 0 ? -1 : ~(-1 << (32 - bits)));
  };
  const { ip } = subnet;
  if (ip.v === 4) return plus(ip4(fill(ip.a, 0)), -1);
  return ip6(fill(ip.a, 0), fill(ip.b, 1), fill(ip.c, 2), fill(ip.d, 3));
}

/** plugins/ipam/host-local/backend/allocator, Canonicalize. */
function range(conf: JsonObject, what: string): AddressRange {
  const o = reader(conf, what);
  const text = o.text("subnet");
  const subnet = text === null ? null : parsePrefix(text);
  if (subnet === null) throw new IntentError(`${what}: "subnet" is no network: ${text}`);
  const ip = (name: string, unset: Ip): Ip => {
    const value = o.text(name);
    const parsed = value === null ? unset : parseIp(value);
    if (parsed === null) throw new IntentError(`${what}: "${name}" is no address: ${value}`);
    return parsed;
  };
  const first = plus(subnet.ip, 1);
  return { subnet, start: ip("rangeStart", first), end: ip("rangeEnd", lastOf(subnet)), gateway: ip("gateway", first) };
}

/** The range sets of an `ipam` object: a pod gets one address of each. `subnet` beside `ranges` is the first of them. Throws IntentError for what is no range. */
export function rangeSets(ipam: JsonObject, what: string): AddressRange[][] {
  const o = reader(ipam, what);
  const sets: AddressRange[][] = [];
  if (o.text("subnet") !== null) sets.push([range(ipam, what)]);
  const listed = ipam["ranges"];
  if (Array.isArray(listed)) {
    for (const set of listed) {
      if (!Array.isArray(set)) throw new IntentError(`${what}: "ranges" should be a list of lists`);
      sets.push(
        reader({ set }, what)
          .objects("set")
          .map((each) => range(each, what)),
      );
    }
  }
  return sets;
}

/** The range that `ip` was taken from; null when it lies in none. */
export function rangeOf(sets: readonly (readonly AddressRange[])[], ip: Ip): AddressRange | null {
  for (const each of sets.flat())
    if (inPrefix(ip, each.subnet) && compareIp(ip, each.start) >= 0 && compareIp(ip, each.end) <= 0) return each;
  return null;
}

/** An address that host-local holds for a container. */
export interface Reservation {
  ip: string;
  containerId: string;
  /** Device within the container; null in files of older versions. */
  ifname: string | null;
  /** The file, in the snapshot. */
  file: string;
}

/** host-local's folder when the configuration names none (backend/disk, defaultDataDir). */
export const DATA_DIR = "/var/lib/cni/networks";

/** What host-local has reserved in `network` on this machine: a file for each address, with the container's id and the device's name (backend/disk, Reserve). */
export function reservationsOf(machine: Machine, network: string, dataDir: string = DATA_DIR): Reservation[] {
  const folder = `${dataDir.replace(/\/+$/, "")}/${network}/`;
  return machine.files(folder).flatMap((path) => {
    const ip = parseIp(path.slice(folder.length));
    const file = ip === null ? null : machine.file(path);
    if (ip === null || file === null) return [];
    const [containerId = "", ifname = ""] = file.text.split(/\r?\n/).map((line) => line.trim());
    return [{ ip: formatIp(ip), containerId, ifname: ifname === "" ? null : ifname, file: file.source.file }];
  });
}

/** Reservations beside the pods that have their addresses. */
export interface ReservationReport {
  reservations: Reservation[];
  /** Held for no pod of this machine: what a crash between DEL and the runtime's memory leaves behind, until the range is used up. */
  leaked: Reservation[];
  /** Pods of this machine in the network's ranges whose address is not reserved: the next pod may get it, too. */
  unreserved: { namespace: string; name: string; ip: string }[];
  /** Addresses that the ranges have, without gateways; capped at 2^53. */
  capacity: number;
}

const sizeOf = (each: AddressRange): number => {
  const width = (ip: Ip): number => (ip.v === 4 ? ip.a >>> 0 : (ip.c >>> 0) * 2 ** 32 + (ip.d >>> 0));
  const wide = each.subnet.ip.v === 6 && each.subnet.len < 64;
  const size = wide ? Number.MAX_SAFE_INTEGER : width(each.end) - width(each.start) + 1;
  const within = compareIp(each.gateway, each.start) >= 0 && compareIp(each.gateway, each.end) <= 0;
  return Math.min(Number.MAX_SAFE_INTEGER, size - (within ? 1 : 0));
};

/**
 * Holds host-local's files of `network` against the pods of the machine. `pods` are all pods of the cluster; those that ended hold no
 * address any more.
 */
export function reservationReport(
  machine: Machine,
  network: string,
  sets: readonly (readonly AddressRange[])[],
  pods: readonly Pod[],
  dataDir?: string,
): ReservationReport {
  const reservations = reservationsOf(machine, network, dataDir);
  const held = new Set(reservations.map((each) => each.ip));
  const used = pods
    .filter((pod) => pod.node === machine.name && !pod.hostNetwork && !["Succeeded", "Failed"].includes(pod.phase))
    .flatMap((pod) =>
      pod.ips.flatMap((text) => {
        const ip = parseIp(text);
        return ip === null ? [] : [{ namespace: pod.namespace, name: pod.name, ip, text: formatIp(ip) }];
      }),
    );
  const inUse = new Set(used.map((each) => each.text));
  return {
    reservations,
    leaked: reservations.filter((each) => !inUse.has(each.ip)),
    unreserved: used
      .filter((each) => !held.has(each.text) && rangeOf(sets, each.ip) !== null)
      .map(({ namespace, name, text }) => ({ namespace, name, ip: text })),
    capacity: Math.min(
      Number.MAX_SAFE_INTEGER,
      sets.flat().reduce((sum, each) => sum + sizeOf(each), 0),
    ),
  };
}
