/** Kernel settings that kube-proxy writes when it starts. */
import type { Claim } from "../claim.ts";
import type { Machine } from "../site.ts";
import { localhostNodePorts, type KubeProxyConfig } from "./config.ts";

/** Settings of conntrack, by what is configured; 0 leaves one as it is (pkg/proxy/conntrack, cmd/kube-proxy/app/server_linux.go). */
function conntrack({ conntrack: settings, node }: KubeProxyConfig): [string, number][] {
  const cpus = node?.cpus ?? null;
  const max = settings.maxPerCore === 0 || cpus === null ? 0 : Math.max(settings.min, settings.maxPerCore * cpus);
  const wanted: [string, number][] = [
    ["nf_conntrack_max", max],
    ["nf_conntrack_tcp_timeout_established", settings.tcpEstablishedTimeout],
    ["nf_conntrack_tcp_timeout_close_wait", settings.tcpCloseWaitTimeout],
    ["nf_conntrack_tcp_be_liberal", settings.tcpBeLiberal ? 1 : 0],
    ["nf_conntrack_udp_timeout", settings.udpTimeout],
    ["nf_conntrack_udp_timeout_stream", settings.udpStreamTimeout],
  ];
  return wanted.filter(([, value]) => value > 0).map(([name, value]) => [`net.netfilter.${name}`, value]);
}

/** Whether the kernel needs conn_reuse_mode=0: those since v5.9 do not, those before v4.1 have no such setting (kubernetes/issues/93297). */
function reusesWrongly(kernel: string): boolean {
  const version = /^(\d+)\.(\d+)/.exec(kernel);
  if (version === null) return false;
  const number = Number(version[1]) * 1000 + Number(version[2]);
  return number >= 4001 && number < 5009;
}

/** What IPVS needs of the kernel (pkg/proxy/ipvs/proxier.go, NewProxier). */
function ipvs({ ipvs: settings, node }: KubeProxyConfig): [string, number][] {
  const reuse: [string, number][] = reusesWrongly(node?.kernelVersion ?? "")
    ? [["net.ipv4.vs.conn_reuse_mode", 0]]
    : [];
  return [
    // Replies find their way back through conntrack, so that packets can be masqueraded.
    ["net.ipv4.vs.conntrack", 1],
    ...reuse,
    // Connections to an endpoint that is gone end, and new ones go elsewhere.
    ["net.ipv4.vs.expire_nodest_conn", 1],
    ["net.ipv4.vs.expire_quiescent_template", 1],
    ["net.ipv4.ip_forward", 1],
    // Service addresses are on a device of their own; nobody may learn them by ARP.
    ...(settings.strictARP
      ? ([
          ["net.ipv4.conf.all.arp_ignore", 1],
          ["net.ipv4.conf.all.arp_announce", 2],
        ] as [string, number][])
      : []),
  ];
}

/** The settings that kube-proxy writes on this machine in its mode, those of conntrack in every mode. */
export function intendSysctls(machine: Machine, config: KubeProxyConfig): Claim[] {
  const wanted: [string, number][] = [
    ...conntrack(config),
    ...(localhostNodePorts(config) ? ([["net.ipv4.conf.all.route_localnet", 1]] as [string, number][]) : []),
    ...(config.mode === "ipvs" ? ipvs(config) : []),
  ];
  return wanted.map(([key, value]) => ({
    owner: "kube-proxy",
    at: machine.place,
    kind: "sysctl",
    state: { key, value: String(value) },
  }));
}
