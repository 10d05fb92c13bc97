/** dnsmasq's configuration that answers for the cluster's names what CoreDNS would (src/core/networks/dns, core-dns.ts). */
import type { Cluster } from "../../../core/model/cluster.ts";
import { clusterNames } from "../../../core/networks/dns/cluster-names.ts";
import { CoreDns } from "../../../core/networks/dns/core-dns.ts";
import { kubeadmCorefile, parseCorefile } from "../../../core/networks/dns/corefile.ts";
import type { DnsReply } from "../../../core/networks/dns/records.ts";

const DOMAIN = "cluster.local";

/** Every name that the cluster's Services and pods give rise to. */
function names(cluster: Cluster): string[] {
  const { services, endpoints } = clusterNames(cluster);
  const found = new Set<string>();
  for (const [key, service] of services) {
    const own = `${service.name}.${service.namespace}.svc.${DOMAIN}`;
    found.add(own);
    for (const port of service.ports)
      if (port.name !== "") found.add(`_${port.name}._${port.protocol.toLowerCase()}.${own}`);
    for (const { address, hostname } of endpoints.get(key) ?? [])
      found.add(`${hostname ?? address.replaceAll(/[.:]/g, "-")}.${own}`);
  }
  for (const pod of cluster.pods)
    for (const ip of pod.ips) found.add(`${ip.replaceAll(/[.:]/g, "-")}.${pod.namespace}.pod.${DOMAIN}`);
  return [...found].map((each) => each.toLowerCase()).toSorted();
}

/** Lines of dnsmasq for an answer. */
function lines(reply: DnsReply): string[] {
  if (reply.kind !== "reply") return [];
  return reply.answers.map((record) => {
    switch (record.type) {
      case "A":
      case "AAAA":
        return `host-record=${record.name},${record.address}`;
      case "SRV":
        return `srv-host=${record.name},${record.target},${record.port},${record.priority},${record.weight}`;
      case "CNAME":
        return `cname=${record.name},${record.target}`;
      case "PTR":
        return `ptr-record=${record.name},${record.target}`;
      case "TXT":
        return `txt-record=${record.name},${record.text}`;
    }
  });
}

/** The file: only the cluster's own records; other names go to `upstream`, or are unknown without one. */
export function dnsmasqConf(cluster: Cluster, upstream: string | null): string {
  const server = new CoreDns(clusterNames(cluster), parseCorefile(kubeadmCorefile(DOMAIN)));
  const records = names(cluster).flatMap((name) =>
    (["A", "AAAA", "SRV"] as const).flatMap((type) => lines(server.ask(name, type))),
  );
  return [
    "no-resolv",
    "no-hosts",
    "no-poll",
    "cache-size=0",
    "log-queries",
    "log-facility=-",
    `local=/${DOMAIN}/`,
    "local-ttl=30",
    // A name without a server is answered with NXDOMAIN and not refused.
    ...(upstream === null ? ["address=/#/"] : [`server=${upstream}`]),
    ...new Set(records),
    "",
  ].join("\n");
}
