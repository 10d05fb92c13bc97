/** What names cost: the questions that one lookup of a pod's program sends to the cluster's DNS. */
import type { Cluster } from "../../model/cluster.ts";
import { clusterNames } from "./cluster-names.ts";
import { corefileOf, kubeadmCorefile, parseCorefile } from "./corefile.ts";
import { CoreDns } from "./core-dns.ts";
import { costOf, lookUp, type Ask, type Families, type Lookup, type LookupCost } from "./lookup-order.ts";
import type { DnsReply } from "./records.ts";
import type { Libc, ResolvConf } from "./resolv-conf.ts";

/** The DNS server of a cluster, with its recorded Corefile, else kubeadm's for `domain`. */
export function clusterDns(cluster: Cluster, domain: string): CoreDns {
  return new CoreDns(clusterNames(cluster), parseCorefile(corefileOf(cluster) ?? kubeadmCorefile(domain)));
}

/**
 * How a reply looks to the resolver. `outside` is what the world beyond the cluster says to a name; a refused question is SERVFAIL
 * to a resolver that has no other server.
 */
function outcome(reply: DnsReply, type: "A" | "AAAA", outside: Ask): ReturnType<Ask> {
  switch (reply.kind) {
    case "forward":
      return outside(reply.name, type);
    case "refused":
      return "servfail";
    case "reply":
      if (reply.rcode === "NXDOMAIN") return "nxdomain";
      if (reply.outside !== null) return outside(reply.outside, type);
      return reply.answers.length > 0 ? "answer" : "nodata";
  }
}

/**
 * Looks `name` up as a program would that was built with `libc` and has this resolver. `outside` answers for names that the cluster
 * does not serve (by default every one of them has an address of each family).
 */
export function lookUpInCluster(
  dns: CoreDns,
  name: string,
  conf: ResolvConf,
  libc: Libc,
  outside: Ask = () => "answer",
  families?: Families,
): Lookup & { cost: LookupCost } {
  const ask: Ask = (each, type) => outcome(dns.ask(each, type), type, outside);
  const lookup = lookUp(name, conf, libc, ask, families);
  return { ...lookup, cost: costOf(lookup, conf, libc) };
}
