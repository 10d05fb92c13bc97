/** Which of a machine's addresses answer node ports. */
import { formatIp, formatPrefix, inPrefix, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import type { Machine } from "../site.ts";
import type { IpFamily, NodeIps } from "./node-ips.ts";

export interface NodePortAddresses {
  /** Prefixes of node port addresses, `0.0.0.0/0` alone for every one. */
  cidrs: string[];
  /** Every local address answers. */
  all: boolean;
  /** The prefixes hold 127.0.0.0/8, or lie in it. */
  loopback4: boolean;
}

const loopback4 = (prefix: Prefix): boolean =>
  prefix.ip.v === 4 &&
  (prefix.ip.a >>> 24 === 127 || (prefix.len <= 8 && inPrefix({ ...prefix.ip, a: 127 << 24 }, prefix)));

/** `primary` alone: the node's own addresses, those that are not loopback's (cmd/kube-proxy/app/server.go, newProxyServer). */
function expand(given: readonly string[], node: NodeIps): string[] {
  if (given.length !== 1 || given[0] !== "primary") return [...given];
  return [
    ...(node.ips[4].startsWith("127.") ? [] : [`${node.ips[4]}/32`]),
    ...(node.ips[6] === "::1" ? [] : [`${node.ips[6]}/128`]),
  ];
}

/**
 * The `nodePortAddresses` of one family; without a prefix of that family every address is one
 * (pkg/proxy/util/nodeport_addresses.go, NewNodePortAddresses). Prefixes that cannot be read are passed over.
 */
export function nodePortAddresses(family: IpFamily, given: readonly string[], node: NodeIps): NodePortAddresses {
  const prefixes = expand(given, node)
    .map(parsePrefix)
    .filter((prefix) => prefix?.ip.v === family) as Prefix[];
  const every: Prefix | undefined = prefixes.length === 0 ? undefined : prefixes.find((prefix) => prefix.len === 0);
  const all = prefixes.length === 0 || every !== undefined;
  const before = every === undefined ? prefixes : prefixes.slice(0, prefixes.indexOf(every) + 1);
  return {
    cidrs: all ? [family === 4 ? "0.0.0.0/0" : "::/0"] : prefixes.map(formatPrefix),
    all,
    loopback4: family === 4 && (prefixes.length === 0 || before.some(loopback4)),
  };
}

/**
 * The machine's addresses within the prefixes, as kube-proxy lists them when not all match (GetNodeIPs). Known are loopback's and
 * those of the machine's own devices: an address that a network puts on a bridge or tunnel is not among them.
 */
export function nodePortIps(machine: Machine, family: IpFamily, addresses: NodePortAddresses): string[] {
  const prefixes = addresses.cidrs.map(parsePrefix).filter((prefix) => prefix !== null);
  const own: Ip[] = [family === 4 ? "127.0.0.1" : "::1", ...machine.devices.flatMap((device) => device.addresses)]
    .map((text) => parseAddress(text))
    .filter((ip) => ip !== null);
  const ips = own.filter((ip) => ip.v === family && prefixes.some((prefix) => inPrefix(ip, prefix)));
  return [...new Set(ips.map(formatIp))];
}

/** The address of `192.0.2.1/24`, host bits and all. */
function parseAddress(text: string): Ip | null {
  return parsePrefix(text.split("/")[0] ?? "")?.ip ?? null;
}
