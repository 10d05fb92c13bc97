/** VXLAN as flannel did it before v0.9: the kernel asks for what is missing, flanneld answers. IPv4 only. */
import { formatPrefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import { programRoute } from "./routes.ts";
import type { FlannelFamily, FlannelSettings } from "./settings.ts";
import { overhead, vxlanDevice, vxlanName } from "./vxlan-device.ts";

/** Questions that the kernel sends to programs for an unresolved neighbour (backend/vxlan, newVXLANDevice). */
function askPrograms(settings: FlannelSettings, dev: string): Claim {
  return {
    owner: "flannel",
    at: settings.place,
    kind: "sysctl",
    state: { key: `net.ipv4.neigh.${dev.replaceAll(".", "/")}.app_solicit`, value: "3" },
  };
}

/** The device of an IPv4 family, with an address of `len` bits; an address as long as the network puts all pods on its link. */
function device(settings: FlannelSettings, family: FlannelFamily, len: number, learn: boolean): Claim[] {
  const attributes = { learning: learn, proxy: learn, l2miss: learn, l3miss: false };
  const mtu = settings.ext.mtu - overhead(family.family);
  const address = { ip: family.subnet.ip, len };
  return [...vxlanDevice(settings, family, attributes, address, mtu), askPrograms(settings, vxlanName(family))];
}

/**
 * v0.2 to v0.8: FDB entries of all peers beforehand; neighbours of pods as they are asked for, which are the kernel's to forget and so
 * no claims (backend/vxlan, network.go). With `hostAddress` (v0.7 and v0.8) the device holds its address alone and flannel adds the
 * network's route itself; before that the kernel made it of the address.
 */
export function vxlanL3Miss(settings: FlannelSettings, family: FlannelFamily, hostAddress: boolean): Claim[] {
  const { network } = family;
  if (family.family !== 4 || network === null) return [];
  const dev = vxlanName(family);
  const way = { via: null, dev, onlink: false };
  return [
    ...device(settings, family, hostAddress ? 32 : network.len, false),
    ...(hostAddress ? [programRoute(settings.place, 4, formatPrefix(network), [way])] : []),
    ...family.peers.flatMap(({ lease }): Claim[] => {
      if (lease.vtepMac === null) return [];
      const state = { dev, mac: lease.vtepMac, dst: lease.publicIP, master: null, state: "permanent" };
      return [{ owner: "flannel", at: settings.place, kind: "fdb", state }];
    }),
  ];
}

/**
 * 2014: the device learns, answers for neighbours and asks for FDB entries too; everything else comes with the first packet, so that
 * a peer's entry may be there or not.
 */
export function vxlanL2Miss(settings: FlannelSettings, family: FlannelFamily): Claim[] {
  const { network } = family;
  if (family.family !== 4 || network === null) return [];
  const peers = family.peers.flatMap(({ lease }): Claim[] => {
    if (lease.vtepMac === null) return [];
    const state = { dev: vxlanName(family), mac: lease.vtepMac, dst: lease.publicIP, master: null };
    return [{ owner: "flannel", at: settings.place, kind: "fdb", state, optional: true }];
  });
  return [...device(settings, family, network.len, true), ...peers];
}
