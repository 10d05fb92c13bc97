/** kube-proxy: sends packets for Services to their endpoints, by iptables, nftables or IPVS. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { kubeProxyConfig } from "./config.ts";
import { intendIptables } from "./iptables.ts";
import { intendIpvs } from "./ipvs.ts";
import { intendNftables } from "./nftables.ts";
import { intendSysctls } from "./sysctls.ts";

function intend(site: Site, machine: Machine): Claim[] {
  const config = kubeProxyConfig(site, machine);
  if (config === null) return [];
  const sysctls = intendSysctls(machine, config);
  switch (config.mode) {
    case "iptables":
      return [...sysctls, ...intendIptables(site, machine, config)];
    case "ipvs":
      return [...sysctls, ...intendIpvs(site, machine, config).claims];
    case "nftables":
      return [...sysctls, ...intendNftables(site, machine, config)];
  }
}

export const kubeProxy: Network = {
  name: "kube-proxy",
  about: "kube-proxy: Service addresses and node ports, by iptables, nftables or IPVS",
  intend,
};
