/** Networks that the container runtime makes by calling plugins: bridge, ptp, macvlan, ipvlan, portmap, loopback. */
import type { Ip } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { attachmentsOf, unseenAttachments, type Attached, type Attachment } from "./attachments.ts";
import { bridge } from "./bridge.ts";
import { cniNetworkOf, type CniNetwork, type PluginConf } from "./conflist.ts";
import { containerIds } from "./container-ids.ts";
import { flannelDelegate } from "./flannel-delegate.ts";
import { ipamOf, type Ipam } from "./ipam.ts";
import { reader } from "./json-config.ts";
import { lowerDevice } from "./lower-device.ts";
import type { PluginRun } from "./plugin.ts";
import { portmap } from "./portmap.ts";
import { ptp } from "./ptp.ts";

/** Plugins that make a pod's device, by name. */
const MAIN: Record<string, (run: PluginRun) => Claim[]> = { bridge, ptp, macvlan: lowerDevice, ipvlan: lowerDevice };

/** Plugins that give each pod an address without a network around it, and a device of its own on the host. */
const SINGLE: ReadonlySet<string> = new Set(["calico", "cilium-cni"]);

const singleAddresses = (ipam: Ipam): Ipam => ({
  ...ipam,
  address: (ip: Ip) => ({ ip, len: ip.v === 4 ? 32 : 128, gateway: null }),
});

/** The device on the host by which it reaches a pod; null when it does not: a bridge without an address in the pods' network is no way there. */
function routedBy(main: PluginConf, attachments: readonly Attachment[]): (attached: Attached) => string | null {
  if (main.type !== "bridge") {
    const devices = new Map(attachments.map(({ pod, sandbox }) => [pod, sandbox.hostDevice?.name ?? null]));
    return ({ pod }) => devices.get(pod) ?? null;
  }
  const conf = reader(main.conf, main.what);
  const gateway = conf.flag("isGateway") === true || conf.flag("isDefaultGateway") === true;
  const vlan = conf.integer("vlan") ?? 0;
  const name = conf.text("bridge") || "cni0";
  return () => (gateway ? `${name}${vlan === 0 ? "" : `.${vlan}`}` : null);
}

/** The runtime sets every pod's loopback device up, by plugin `loopback` or itself. */
function loopback(machine: Machine): Claim[] {
  return machine.sandboxes.map(({ place }) => ({
    owner: "loopback",
    at: place,
    kind: "link",
    state: { name: "lo", type: "loopback", up: true },
  }));
}

/** The first plugin, or the one that it calls; null when that cannot be known. */
function mainPlugin(machine: Machine, network: CniNetwork): PluginConf | null {
  const first = network.plugins[0];
  if (first === undefined) return null;
  return first.type === "flannel" ? flannelDelegate(machine, first) : first;
}

export const cni: Network = {
  name: "cni",
  about: "CNI plugins: bridge, ptp, macvlan, ipvlan, portmap and host-local's addresses",
  intend(site: Site, machine: Machine): Claim[] {
    const network = machine.node === null ? null : cniNetworkOf(machine);
    const main = network === null ? null : mainPlugin(machine, network);
    if (network === null || main === null) return machine.node === null ? [] : loopback(machine);
    const given = ipamOf(main.conf, main.what);
    const ipam = SINGLE.has(main.type) ? singleAddresses(given) : given;
    const idOf = containerIds(machine, network.name, ipam.dataDir);
    const attachments = attachmentsOf(site, machine, ipam, idOf);
    const attached = [...attachments, ...unseenAttachments(site, machine, ipam, idOf)];
    const run = (plugin: PluginConf): PluginRun => ({ site, machine, network, plugin, ipam, attachments, attached });
    const chained = network.plugins.slice(1).filter((plugin) => plugin.type === "portmap");
    return [
      ...loopback(machine),
      ...(MAIN[main.type]?.(run(main)) ?? []),
      ...chained.flatMap((plugin) => portmap(run(plugin), routedBy(main, attachments))),
    ];
  },
};
