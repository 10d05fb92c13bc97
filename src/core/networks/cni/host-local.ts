/** host-local: hands out addresses of ranges, and keeps one file for each. */
import { compareIp, formatIp, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import { nth, sizeOf } from "../calico/ipam/range.ts";
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
  const first = nth(subnet, 1);
  // IPv4's last address is the broadcast's.
  const last = nth(subnet, sizeOf(subnet) - (subnet.ip.v === 4 ? 2n : 1n));
  return { subnet, start: ip("rangeStart", first), end: ip("rangeEnd", last), gateway: ip("gateway", first) };
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
    return [{ ip: formatIp(ip), containerId, ifname: ifname === "" ? null : ifname }];
  });
}
