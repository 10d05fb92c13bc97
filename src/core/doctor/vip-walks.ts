/** Walks to addresses that keepalived moves between machines: nothing in the cluster's objects names them, so no survey asks for them. */
import { serversBehind } from "../networks/vip/haproxy-read.ts";
import { haproxyOf, loadBalancerPorts, type Holder } from "../networks/vip/recorded.ts";
import type { Chart, Walked } from "./chart.ts";
import type { Sender, Target } from "./target.ts";
import { senders, withPort } from "./targets.ts";

/** Senders that ask for one address, at most. */
const MOST_SENDERS = 60;

/** Hosts beyond the fabric, nodes, and of each node's pods the first. */
function askers(chart: Chart): Sender[] {
  const seen = new Set<string>();
  const all = senders(chart.dir).filter((sender) => {
    if (sender.kind !== "pod") return true;
    if (seen.has(sender.node)) return false;
    seen.add(sender.node);
    return true;
  });
  const rank = { outside: 0, node: 1, pod: 2 } as const;
  return all.toSorted((a, b) => rank[a.kind] - rank[b.kind]).slice(0, MOST_SENDERS);
}

/** Ports by which clients reach what is behind an address: of the load balancers' frontends that take it; none without HAProxy. */
export function portsOf(chart: Chart, vip: string, members: readonly Holder[]): number[] {
  const ports = new Set<number>();
  for (const { machine } of members) {
    const conf = haproxyOf(machine);
    if (conf === null) continue;
    const api = loadBalancerPorts(chart.site, conf);
    for (const section of conf.sections) {
      if (serversBehind(conf, section).length === 0) continue;
      for (const { host, port } of section.binds) {
        if (host !== "" && host !== "::" && host !== "0.0.0.0" && host !== vip) continue;
        // The API's own port is redirected to the load balancer's.
        ports.add(api !== null && port === api.lbPort ? api.apiPort : port);
      }
    }
  }
  return [...ports].toSorted((a, b) => a - b);
}

/** Everybody's walks to an address, by TCP where a load balancer has ports, else by ICMP. */
export function vipWalks(chart: Chart, vip: string, members: readonly Holder[]): Walked[] {
  const aim: Target["aim"] = { kind: "node", node: members[0]?.machine.name ?? "" };
  const ports = portsOf(chart, vip, members);
  const targets: Target[] =
    ports.length === 0
      ? [{ aim, to: vip, proto: "icmp", address: vip }]
      : ports.map((port) => ({ aim, to: withPort(vip, port, "tcp"), proto: "tcp", address: vip, port }));
  const family = vip.includes(":") ? 6 : 4;
  return askers(chart)
    .filter((sender) => sender.families.has(family))
    .flatMap((sender) => targets.map((target) => chart.walked(sender, target)));
}
