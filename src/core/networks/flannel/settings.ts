/** What flanneld on one machine works with, gathered from its command line, its files and the Node objects. */
import { prefixOf, type Prefix } from "../../model/address.ts";
import type { Machine, OwnDevice, Site } from "../site.ts";
import { extAddress, extIface } from "./ext-iface.ts";
import { generationOf, type Generation } from "./generation.ts";
import { annotationKey, leaseOf, type FamilyLease, type Lease } from "./lease.ts";
import { netConfOf, type NetConf } from "./net-conf.ts";
import { flannelOptions, type FlannelOptions } from "./options.ts";
import { parseSubnetEnv, type SubnetEnv } from "./subnet-env.ts";

/** flannel in one address family on one machine. */
export interface FlannelFamily {
  family: 4 | 6;
  /** The whole cluster's; null when nothing recorded tells it. */
  network: Prefix | null;
  /** This node's part of it. */
  subnet: Prefix;
  /** Own end of the tunnel; null when the device has no such address. */
  local: string | null;
  lease: FamilyLease | null;
  peers: { node: string; lease: FamilyLease }[];
}

export interface FlannelSettings {
  place: string;
  backend: string;
  generation: Generation;
  /** The device by which flannel reaches others, and all that the machine has. */
  ext: OwnDevice;
  devices: readonly OwnDevice[];
  families: FlannelFamily[];
  /** As configured; null when it was not recorded. */
  netConf: NetConf | null;
  /** MTU that pods get, bytes; null when not recorded. */
  mtu: number | null;
  /** True and false as far as recorded; null when unknown. */
  masquerade: boolean | null;
  forwardRules: boolean | null;
  randomFully: boolean;
  blackhole: boolean;
}

/** Other nodes' leases of `backend` (pkg/backend, handleSubnetEvents passes over others). */
function peersOf(leases: readonly Lease[], own: string, backend: string, v: "v4" | "v6"): FlannelFamily["peers"] {
  return leases.flatMap((each) => {
    const lease = each[v];
    return each.node === own || each.backend !== backend || lease === null ? [] : [{ node: each.node, lease }];
  });
}

/** The families that flannel serves on the node: as configured, else as subnet.env has them, else those of the lease. */
function families(
  conf: NetConf | null,
  env: SubnetEnv | null,
  lease: Lease | null,
): { v: 4 | 6; network: Prefix | null; subnet: Prefix }[] {
  const one = (v: 4 | 6): { v: 4 | 6; network: Prefix | null; subnet: Prefix }[] => {
    const network = (v === 4 ? (conf?.network4 ?? env?.network4) : (conf?.network6 ?? env?.network6)) ?? null;
    const written = v === 4 ? env?.subnet4 : env?.subnet6;
    const subnet = (v === 4 ? lease?.v4 : lease?.v6)?.subnet ?? written ?? null;
    const served = conf === null && env === null ? subnet !== null : network !== null;
    return served && subnet !== null ? [{ v, network, subnet: prefixOf(subnet.ip, subnet.len) }] : [];
  };
  return [...one(4), ...one(6)];
}

/**
 * Gathers the settings of `machine`; null when flannel does not run there: the machine has neither flanneld's command line nor its
 * subnet file, or no device to reach others by. Throws IntentError when a configuration makes no sense.
 */
export function flannelSettings(site: Site, machine: Machine): FlannelSettings | null {
  const node = machine.node;
  const command = machine.command("flanneld");
  const options: FlannelOptions = flannelOptions(command);
  const envFile = machine.file(options.subnetFile);
  if (node === null || (command === null && envFile === null)) return null;
  const env = envFile === null ? null : parseSubnetEnv(envFile.text);
  const conf = netConfOf(site, machine, options);
  const leases = site.cluster.nodes.flatMap((each) => leaseOf(each, options.annotationPrefix) ?? []);
  const lease = leases.find((each) => each.node === node.name) ?? null;
  const ext = extIface(machine, options, lease);
  const backend = lease?.backend || conf?.backend || "";
  if (ext === null) return null;
  const annotated = (name: string): string | null =>
    node.annotations[annotationKey(options.annotationPrefix, name)] ?? null;
  const given = {
    4: annotated("node-public-ip") ?? options.publicIP,
    6: annotated("node-public-ipv6") ?? options.publicIPv6,
  };
  return {
    place: machine.place,
    backend,
    generation: generationOf(site),
    ext,
    devices: machine.devices,
    families: families(conf, env, lease).map(({ v, network, subnet }) => ({
      family: v,
      network,
      subnet,
      local: extAddress(ext, v, given[v]),
      lease: (v === 4 ? lease?.v4 : lease?.v6) ?? null,
      peers: peersOf(leases, node.name, backend, v === 4 ? "v4" : "v6"),
    })),
    netConf: conf,
    mtu: env?.mtu ?? null,
    masquerade: env?.ipMasq ?? (command === null ? null : options.ipMasq),
    forwardRules: command === null ? null : options.iptablesForwardRules,
    randomFully: !options.ipMasqRandomFullyDisable,
    blackhole: options.blackholeRoute,
  };
}
