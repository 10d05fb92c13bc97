/** What it means that a command failed: mostly that nothing is known, sometimes that there is nothing. */
import type { Aspect } from "../../model/namespace.ts";
import type { CommandRecord } from "../commands.ts";
import type { NodeFacts } from "./node-facts.ts";

/** `empty`: the failure itself says that there is none. `usable`: what was printed holds. `missing`: nothing is known. */
export type FailureMeans = "empty" | "usable" | "missing";

/** Whether the kernel has nothing of this aspect, whatever a command made of it. */
export function kernelHasNone(aspect: Aspect, facts: NodeFacts): boolean {
  switch (aspect) {
    case "ipvs":
      return facts.ipvs === false;
    case "conntrack":
      return facts.conntrack === false;
    case "conntrack6":
      return facts.conntrack === false || facts.ipv6 === false;
    case "route6":
    case "rule6":
    case "ip6tables":
    case "ip6tables-legacy":
      return facts.ipv6 === false;
    default:
      return false;
  }
}

/**
 * What the failure of the command for `aspect` means. An error number is an answer only where the kernel gives it for one
 * reason; "not found" and "not permitted" never are.
 */
export function failureMeans(aspect: Aspect, record: CommandRecord, facts: NodeFacts): FailureMeans {
  if (kernelHasNone(aspect, facts)) return "empty";
  const says = (text: string): boolean => record.stderr.includes(text);
  switch (aspect) {
    case "ipvs":
      // getsockopt(IP_VS_SO_GET_VERSION) without ip_vs: nf_getsockopt finds no owner of the option, ENOPROTOOPT.
      return says("Protocol not available") ? "empty" : "missing";
    case "vlan":
      // RTM_GETVLAN and the VLAN filter of PF_BRIDGE dumps are the bridge module's, with VLAN filtering: else EOPNOTSUPP.
      return says("Operation not supported") ? "empty" : "missing";
    case "nexthop":
      // RTM_GETNEXTHOP exists since Linux 5.3 (net/ipv4/nexthop.c): before, EOPNOTSUPP and no such objects.
      return says("Operation not supported") ? "empty" : "missing";
    case "tc":
      // RTM_GETQDISC is registered by sch_api.c: a kernel without queueing disciplines says EOPNOTSUPP.
      return says("Operation not supported") ? "empty" : "missing";
    case "nft":
    case "iptables":
    case "ip6tables":
      // socket(NETLINK_NETFILTER) without nfnetlink: EPROTONOSUPPORT (netlink_create), so no nf_tables either.
      return says("Protocol not supported") && !says("legacy") ? "empty" : "missing";
    case "sysctl": {
      // procps fails when single settings cannot be read (stable_secret: EIO; some: EACCES) and prints all others.
      const lines = record.stderr.split("\n").filter((line) => line.trim() !== "");
      const single = /reading key|permission denied on key/;
      return lines.length > 0 && lines.every((line) => single.test(line)) ? "usable" : "missing";
    }
    default:
      return "missing";
  }
}

/** Whether a command that ended well says that the kernel changed under it, so that entries may lack or stand twice. */
export function wasInterrupted(record: CommandRecord): boolean {
  // NLM_F_DUMP_INTR, as iproute2 reports it (lib/libnetlink.c, rtnl_dump_filter_l).
  return record.stderr.includes("Dump was interrupted");
}

const firstLines = (text: string): string => {
  const line = text.trim().split("\n").slice(0, 2).join("; ");
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
};

/** `ipvsadm -S -n: exit 2: Can't initialize ipvs …`. */
export function failureText(record: CommandRecord): string {
  const status = record.exit === null ? "did not end by itself" : `exit ${record.exit}`;
  const stderr = firstLines(record.stderr);
  return `${record.command}: ${status}${stderr === "" ? "" : `: ${stderr}`}`;
}
