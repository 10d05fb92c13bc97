/** keepalived and HAProxy as the machines of a site have them in their files. */
import { inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { ParseError } from "../../model/source.ts";
import { nodesOf, type Machine, type MachineFile, type Site } from "../site.ts";
import { readHaproxy, serversBehind, type HaproxyConf } from "./haproxy-read.ts";
import { readKeepalived, type KeepalivedConf, type VrrpInstance } from "./keepalived-read.ts";

/** Where the two files stand; OpenShift's static pods mount the same paths. */
const KEEPALIVED = ["/etc/keepalived/keepalived.conf"];
const HAPROXY = ["/etc/haproxy/haproxy.cfg"];

const first = (machine: Machine, paths: readonly string[]): MachineFile | null => {
  for (const path of paths) {
    const file = machine.file(path);
    if (file !== null) return file;
  }
  return null;
};

/** The machine's keepalived.conf; null when none was recorded. Throws ParseError when its braces do not match. */
export function keepalivedOf(machine: Machine): KeepalivedConf | null {
  const file = first(machine, KEEPALIVED);
  return file === null ? null : readKeepalived(file);
}

/** The machine's haproxy.cfg; null when none was recorded. */
export function haproxyOf(machine: Machine): HaproxyConf | null {
  const file = first(machine, HAPROXY);
  return file === null ? null : readHaproxy(file);
}

/** A VRRP instance on a machine. */
export interface Holder {
  machine: Machine;
  instance: VrrpInstance;
}

/** Instances of all machines by virtual address; machines whose file cannot be read are in `problems`. */
export function virtualAddresses(site: Site): { byAddress: Map<string, Holder[]>; problems: ParseError[] } {
  const byAddress = new Map<string, Holder[]>();
  const problems: ParseError[] = [];
  for (const machine of site.machines) {
    let conf: KeepalivedConf | null = null;
    try {
      conf = keepalivedOf(machine);
    } catch (error) {
      problems.push(error as ParseError);
    }
    problems.push(...(conf?.problems ?? []));
    for (const instance of conf?.instances ?? [])
      for (const { address } of instance.addresses) {
        const list = byAddress.get(address);
        if (list === undefined) byAddress.set(address, [{ machine, instance }]);
        else list.push({ machine, instance });
      }
  }
  return { byAddress, problems };
}

/** The machine's own address on an instance's device, in the VIP's network when one is; null when the device has none. */
export function sourceOf(machine: Machine, instance: VrrpInstance, vip: string): string | null {
  if (instance.unicastSource !== null) return instance.unicastSource;
  const wanted = parseIp(vip);
  const addresses = machine.devices.find((device) => device.name === instance.interface)?.addresses ?? [];
  const own = addresses.filter((text) => text.split("/")[0] !== vip && text.includes(":") === vip.includes(":"));
  const near = own.find((text) => {
    const network = parsePrefix(text);
    return wanted !== null && network !== null && inPrefix(wanted, network);
  });
  return (near ?? own[0])?.split("/")[0] ?? null;
}

/** Port of the load balancer and of the API servers behind it: the frontend whose servers are nodes of the cluster. */
export function loadBalancerPorts(site: Site, conf: HaproxyConf): { lbPort: number; apiPort: number } | null {
  const addresses = new Set(nodesOf(site).flatMap((machine) => machine.node.addresses.map((each) => each.address)));
  for (const section of conf.sections) {
    const [bind] = section.binds;
    const server = serversBehind(conf, section).find((each) => addresses.has(each.host));
    if (bind !== undefined && server !== undefined) return { lbPort: bind.port, apiPort: server.port };
  }
  return null;
}
