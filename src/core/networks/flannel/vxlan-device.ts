/** flannel's VXLAN device. */
import { formatIp, type Ip } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { FlannelFamily, FlannelSettings } from "./settings.ts";

/** Ethernet, IPv4 or IPv6, UDP and VXLAN headers, in bytes (drivers/net/vxlan, vxlan_headroom). */
export const overhead = (family: 4 | 6): number => (family === 4 ? 50 : 70);

/** `flannel.1` and `flannel-v6.1` (pkg/backend/vxlan, createVXLANDevice). */
export function vxlanName(family: FlannelFamily): string {
  return `flannel${family.family === 6 ? "-v6" : ""}.${family.lease?.vni ?? 1}`;
}

/**
 * MTU of the device: what flannel asks for, which is the configured or the outer device's MTU less 50 in both families, but not more
 * than fits into the outer device (vxlan_config_apply cuts to the lower device's MTU less the headers).
 */
export function vxlanMtu(settings: FlannelSettings, family: 4 | 6): number {
  const asked = settings.mtu ?? (settings.netConf?.mtu ?? settings.ext.mtu) - 50;
  return Math.min(asked, settings.ext.mtu - overhead(family));
}

/** `device` with `attributes` and the address `address/length`. */
export function vxlanDevice(
  settings: FlannelSettings,
  family: FlannelFamily,
  attributes: Record<string, string | number | boolean | null>,
  address: { ip: Ip; len: number },
  mtu: number,
): Claim[] {
  const claimed = { owner: "flannel", at: settings.place } as const;
  const name = vxlanName(family);
  // A device is told its MAC by the annotation when flannel restarts, so the peers' entries stay true.
  const mac = family.lease?.vtepMac ?? undefined;
  return [
    {
      ...claimed,
      kind: "link",
      state: {
        name,
        type: "vxlan",
        mtu,
        up: true,
        master: null,
        ...(mac === undefined ? {} : { mac }),
        attributes: {
          id: family.lease?.vni ?? settings.netConf?.vni ?? 1,
          remote: null,
          dev: settings.ext.name,
          external: false,
          ...(family.local === null ? {} : { local: family.local }),
          ...attributes,
        },
      },
    },
    {
      ...claimed,
      kind: "address",
      state: { dev: name, address: `${formatIp(address.ip)}/${address.len}`, scope: "global" },
    },
  ];
}
