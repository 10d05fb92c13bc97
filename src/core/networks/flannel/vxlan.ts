/** VXLAN as flannel does it since v0.9: for each peer a neighbour, an FDB entry and a route, all permanent. */
import { formatIp, formatPrefix } from "../../model/address.ts";
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import { onLink } from "./ext-iface.ts";
import { programRoute } from "./routes.ts";
import type { FlannelFamily, FlannelSettings } from "./settings.ts";
import { vxlanDevice, vxlanMtu, vxlanName } from "./vxlan-device.ts";

/** Port of VXLAN devices that are made without one (drivers/net/vxlan, vxlan_port). */
const KERNEL_PORT = 8472;

/** Entries for one peer (pkg/backend/vxlan, handleSubnetEvents). */
function peer(settings: FlannelSettings, family: FlannelFamily, { lease }: FlannelFamily["peers"][number]): Claim[] {
  const claimed = { owner: "flannel", at: settings.place } as const;
  const dst = formatPrefix(lease.subnet);
  // With DirectRouting a peer that needs no router is reached without the tunnel, by the kernel's choice of device.
  const direct = settings.netConf?.directRouting === true ? onLink(settings.devices, lease.publicIP) : null;
  if (direct !== null)
    return [
      programRoute(settings.place, family.family, dst, [{ via: lease.publicIP, dev: direct.name, onlink: false }]),
    ];
  if (lease.vtepMac === null) return [];
  const dev = vxlanName(family);
  const gateway = formatIp(lease.subnet.ip);
  return [
    { ...claimed, kind: "neighbour", state: { dev, ip: gateway, mac: lease.vtepMac, state: "PERMANENT" } },
    {
      ...claimed,
      kind: "fdb",
      state: { dev, mac: lease.vtepMac, dst: lease.publicIP, master: null, state: "permanent" },
    },
    programRoute(settings.place, family.family, dst, [{ via: gateway, dev, onlink: true }]),
  ];
}

/**
 * The VXLAN device of one address family, and what leads to each peer. The device holds the subnet's first address alone, so that the
 * kernel makes no route of it. Options that were not recorded (port, learning) are left out.
 */
export function vxlanStatic(settings: FlannelSettings, family: FlannelFamily): Claim[] {
  const conf = settings.netConf;
  const attributes = {
    l2miss: false,
    l3miss: false,
    proxy: false,
    ...(conf !== null && { port: conf.port ?? KERNEL_PORT, learning: conf.learning }),
  };
  const address = { ip: family.subnet.ip, len: family.family === 4 ? 32 : 128 };
  const device = vxlanDevice(settings, family, attributes, address, vxlanMtu(settings, family.family));
  return [
    ...device,
    {
      owner: "flannel",
      at: settings.place,
      kind: "sysctl",
      state: { key: sysctlConf("ipv6", vxlanName(family), "accept_ra"), value: "0" },
    },
    ...family.peers.flatMap((each) => peer(settings, family, each)),
  ];
}
