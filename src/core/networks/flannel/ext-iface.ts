/** The device by which flannel reaches the other nodes. */
import { formatIp, inPrefix, parseIp, parsePrefix, type Ip } from "../../model/address.ts";
import type { Machine, OwnDevice } from "../site.ts";
import type { Lease } from "./lease.ts";
import type { FlannelOptions } from "./options.ts";

const addressesOf = (device: OwnDevice): Ip[] =>
  device.addresses.map((each) => parseIp(each.split("/", 1)[0]!)).filter((ip) => ip !== null);

const holds = (device: OwnDevice, address: string): boolean => {
  const ip = parseIp(address);
  return ip !== null && addressesOf(device).some((each) => formatIp(each) === formatIp(ip));
};

function byRegex(devices: readonly OwnDevice[], text: string): OwnDevice | undefined {
  let regex: RegExp;
  try {
    regex = new RegExp(text);
  } catch {
    // What Go's syntax has and JavaScript's has not: as if nothing matched.
    return undefined;
  }
  const test = (device: OwnDevice): boolean => addressesOf(device).some((ip) => regex.test(formatIp(ip)));
  return devices.find(test) ?? devices.find((device) => regex.test(device.name));
}

/**
 * The device that flanneld uses (pkg/ipmatch, LookupExtIface): of `-iface` and then `-iface-regex` the first that is there; without
 * these the one that holds the node's public address, which flanneld found through its default route. Null when there is none.
 */
export function extIface(machine: Machine, options: FlannelOptions, lease: Lease | null): OwnDevice | null {
  const devices = machine.devices;
  for (const wanted of options.iface) {
    const found = devices.find((device) => device.name === wanted || holds(device, wanted));
    if (found !== undefined) return found;
  }
  for (const regex of options.ifaceRegex) {
    const found = byRegex(devices, regex);
    if (found !== undefined) return found;
  }
  if (options.iface.length > 0 || options.ifaceRegex.length > 0) return null;
  const internal =
    machine.node?.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address) ?? [];
  const publics = [lease?.v4?.publicIP, lease?.v6?.publicIP].filter((ip) => ip !== undefined);
  for (const address of [...publics, ...internal]) {
    const found = devices.find((device) => holds(device, address));
    if (found !== undefined) return found;
  }
  return devices[0] ?? null;
}

/**
 * The address that flannel uses as the tunnel's own: `given` by annotation or flag, else the device's first global one (pkg/ip,
 * GetInterfaceIP4Addrs); null for none.
 */
export function extAddress(device: OwnDevice, family: 4 | 6, given: string | null): string | null {
  const ip = parseIp(given ?? "");
  if (ip !== null) return formatIp(ip);
  const all = addressesOf(device)
    .filter((each) => each.v === family)
    .map(formatIp);
  const linkLocal = (text: string): boolean => (family === 4 ? text.startsWith("169.254.") : /^fe[89ab]/.test(text));
  return all.find((text) => !linkLocal(text)) ?? all[0] ?? null;
}

/** The first of `devices` on whose link `address` is: one of its networks has it, and it is not the device's own. Null when it takes a router to get there. */
export function onLink(devices: readonly OwnDevice[], address: string): OwnDevice | null {
  const ip = parseIp(address);
  if (ip === null) return null;
  const best = devices
    .flatMap((device) => device.addresses.map((each) => ({ device, prefix: parsePrefix(each) })))
    .filter(({ device, prefix }) => prefix !== null && inPrefix(ip, prefix) && !holds(device, address))
    .toSorted((a, b) => (b.prefix?.len ?? 0) - (a.prefix?.len ?? 0));
  return best[0]?.device ?? null;
}
