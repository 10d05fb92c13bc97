/** The ipsets of kube-proxy in IPVS mode (pkg/proxy/ipvs/ipset.go, ipsetInfo). */
import type { IpFamily } from "../node-ips.ts";

export type SetType = "hash:ip" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net" | "bitmap:port";

/** Sets by their name without `KUBE-`, each with its type and with what rules that look into it say. */
export const SETS = {
  "LOOP-BACK": ["hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"],
  "CLUSTER-IP": ["hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"],
  "EXTERNAL-IP": ["hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"],
  "EXTERNAL-IP-LOCAL": ["hash:ip,port", "Kubernetes service external ip + port with externalTrafficPolicy=local"],
  "LOAD-BALANCER": ["hash:ip,port", "Kubernetes service lb portal"],
  "LOAD-BALANCER-FW": ["hash:ip,port", "Kubernetes service load balancer ip + port for load balancer with sourceRange"],
  "LOAD-BALANCER-LOCAL": [
    "hash:ip,port",
    "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
  ],
  "LOAD-BALANCER-SOURCE-IP": [
    "hash:ip,port,ip",
    "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
  ],
  "LOAD-BALANCER-SOURCE-CIDR": [
    "hash:ip,port,net",
    "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
  ],
  "NODE-PORT-TCP": ["bitmap:port", "Kubernetes nodeport TCP port for masquerade purpose"],
  "NODE-PORT-LOCAL-TCP": ["bitmap:port", "Kubernetes nodeport TCP port with externalTrafficPolicy=local"],
  "NODE-PORT-UDP": ["bitmap:port", "Kubernetes nodeport UDP port for masquerade purpose"],
  "NODE-PORT-LOCAL-UDP": ["bitmap:port", "Kubernetes nodeport UDP port with externalTrafficPolicy=local"],
  "NODE-PORT-SCTP-HASH": [
    "hash:ip,port",
    "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
  ],
  "NODE-PORT-LOCAL-SCTP-HASH": [
    "hash:ip,port",
    "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
  ],
  "HEALTH-CHECK-NODE-PORT": ["bitmap:port", "Kubernetes health check node port"],
  "IPVS-IPS": ["hash:ip", "Addresses on the ipvs interface"],
} as const satisfies Record<string, readonly [SetType, string]>;

export type SetName = keyof typeof SETS;

export const SET_NAMES = Object.keys(SETS) as SetName[];

/** A set's name in the kernel: those of IPv6 are called `KUBE-6-…`, and cut to the 31 letters that a name may have (NewIPSet). */
export const setName = (name: SetName, family: IpFamily): string =>
  family === 4 ? `KUBE-${name}` : `KUBE-6-${name}`.slice(0, 31);
