/** Pieces of rules as iptables-save prints them. */
import type { KubeProxyConfig } from "../config.ts";
import type { IpFamily } from "../node-ips.ts";

/** `-m comment --comment "…"`, quotes within escaped as xtables_save_string does. */
export const comment = (text: string): string => `-m comment --comment "${text.replaceAll(/["'\\]/g, "\\$&")}"`;

/** `/32` or `/128` behind a bare address. */
export const host = (address: string): string => `${address}/${address.includes(":") ? 128 : 32}`;

/** `-s 10.0.0.0/8 ` with a blank behind it; nothing for a prefix of every address, which iptables-save leaves out. */
export const from = (prefix: string): string => (prefix.endsWith("/0") ? "" : `-s ${prefix} `);

/** `-d 10.96.0.1/32 -p tcp … -m tcp --dport 80`, with a comment in between. */
export const toPort = (address: string, protocol: string, port: number, text: string): string =>
  `-d ${host(address)} -p ${protocol} ${comment(text)} -m ${protocol} --dport ${port}`;

/** The packet mark that asks for masquerading, `0x4000`. */
export const masqueradeMark = (config: KubeProxyConfig): string => `0x${(2 ** config.masqueradeBit).toString(16)}`;

/**
 * `--probability` of one in `n`: kube-proxy writes ten digits, the kernel keeps 31 bits, iptables-save prints eleven digits of those
 * (computeProbability; libxt_statistic.c).
 */
export function probability(n: number): string {
  const written = Number((1 / n).toFixed(10));
  return (Math.round(written * 2 ** 31) / 2 ** 31).toFixed(11);
}

/** Matches packets of this node's pods, or with `not` all others, with a blank behind it; null when nothing tells them. */
export function podTraffic(config: KubeProxyConfig, family: IpFamily, not: boolean): string | null {
  const local = config.localTraffic[family];
  if (local === null) return null;
  const bang = not ? "! " : "";
  switch (local.by) {
    case "cidr":
      return not ? `! -s ${local.cidr} ` : from(local.cidr);
    case "bridge":
      return `${bang}-i ${local.name} `;
    case "prefix":
      return `${bang}-i ${local.prefix}+ `;
  }
}
