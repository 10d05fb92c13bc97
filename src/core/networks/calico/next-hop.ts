/** How a machine reaches an address of another: by a subnet that both stand in, or by a router that stands in both of theirs. */
import { formatIp, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import type { Machine, Site } from "../site.ts";
import { oncePer } from "../once.ts";

export interface NextHop {
  via: string;
  dev: string;
}

/** A device's address and its subnet. */
export interface Foot {
  dev: string;
  ip: Ip;
  subnet: Prefix;
}

const allFeet = oncePer((machine: Machine) => {
  const found: Record<4 | 6, Foot[]> = { 4: [], 6: [] };
  for (const device of machine.devices)
    for (const text of device.addresses) {
      const ip = parseIp(text.split("/", 1)[0] ?? "");
      const subnet = parsePrefix(text);
      if (ip === null || subnet === null || formatIp(subnet.ip).startsWith("fe80:")) continue;
      found[ip.v].push({ dev: device.name, ip, subnet });
    }
  return found;
});

/** Addresses of a machine's own devices, link-local ones left out. */
export function feet(machine: Machine, family: 4 | 6): readonly Foot[] {
  return allFeet(machine)[family];
}

/** The way to `target`; null when it is not known. */
export function nextHop(site: Site, machine: Machine, target: Ip): NextHop | null {
  const own = feet(machine, target.v);
  const near = own.find((foot) => inPrefix(target, foot.subnet));
  if (near !== undefined) return { via: formatIp(target), dev: near.dev };
  for (const router of site.machines) {
    if (router.name === machine.name) continue;
    const theirs = feet(router, target.v);
    if (!theirs.some((foot) => inPrefix(target, foot.subnet))) continue;
    for (const foot of own) {
      const gate = theirs.find((each) => inPrefix(each.ip, foot.subnet));
      if (gate !== undefined) return { via: formatIp(gate.ip), dev: foot.dev };
    }
  }
  return null;
}

/** The device that holds an address of the machine; null for none. */
export function deviceOf(machine: Machine, address: Ip): string | null {
  return feet(machine, address.v).find((foot) => formatIp(foot.ip) === formatIp(address))?.dev ?? null;
}
