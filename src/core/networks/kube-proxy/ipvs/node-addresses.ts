/** The addresses of a machine on which IPVS answers node ports. */
import { formatIp, inPrefix, parseIp, parsePrefix, type Ip } from "../../../model/address.ts";
import type { Machine } from "../../site.ts";
import type { KubeProxyConfig } from "../config.ts";
import type { IpFamily } from "../node-ips.ts";

const loopback = (ip: Ip): boolean => (ip.v === 4 ? ip.a >>> 24 === 127 : formatIp(ip) === "::1");

const linkLocal6 = (ip: Ip): boolean => ip.v === 6 && ip.a >>> 22 === 0xfe80 >>> 6;

/** What is known of a machine's addresses without its kernel: those of its own devices, with prefix lengths. */
export const ownAddresses = (machine: Machine): string[] => machine.devices.flatMap((device) => device.addresses);

/**
 * All of one family but those of kube-ipvs0, loopback's and IPv6 link-local ones (pkg/proxy/ipvs/netlink_linux.go,
 * GetAllLocalAddressesExcept). `addresses` may have prefix lengths.
 */
export function nodeAddresses(addresses: readonly string[], family: IpFamily): string[] {
  const ips = addresses
    .map((text) => parseIp(text.split("/")[0] ?? ""))
    .filter((ip) => ip !== null)
    .filter((ip) => ip.v === family && !loopback(ip) && !linkLocal6(ip));
  return [...new Set(ips.map(formatIp))];
}

/** Those of them that answer node ports, by `nodePortAddresses`. */
export function nodePortAddressesOf(all: readonly string[], family: IpFamily, config: KubeProxyConfig): string[] {
  const wanted = config.nodePortAddresses[family];
  if (wanted.all) return [...all];
  const prefixes = wanted.cidrs.map(parsePrefix).filter((prefix) => prefix !== null);
  return all.filter((text) => {
    const ip = parseIp(text);
    return ip !== null && prefixes.some((prefix) => inPrefix(ip, prefix));
  });
}
