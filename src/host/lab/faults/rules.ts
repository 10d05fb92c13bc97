/** Faults of settings and rules on a node's root namespace. */
import { internalIp, podAddresses, podsOn } from "../daemons/addresses.ts";
import { LabError, type Lab } from "../parts.ts";
import { claimsAt, commandFault, host, nodeOf, restore, sh, type ShippedFault } from "./fault.ts";

const POD_NETWORK = "10.244.0.0/16";

/** An address of some pod of a node. */
function podOf(lab: Lab, node: string): string {
  const found = podsOn(lab, node)
    .flatMap((place) => podAddresses(lab, place))
    .find((address) => !address.includes(":"));
  if (found === undefined) throw new LabError(`${node} has no pod with an IPv4 address`);
  return found;
}

/** A pod network of a node as its Node has it; the network of 24 bits around its pods where Nodes have none. */
function podNetwork(lab: Lab, node: string): string {
  return podOf(lab, node).replace(/\d+$/, "0/24");
}

export const forwardingOff = commandFault(
  {
    id: "forwarding-off",
    summary: "forwarding is off on a node's uplink although ip_forward is on",
    scenario: "shop",
  },
  (lab, options) => {
    const set = (value: number): string => `sysctl -qw net.ipv4.conf.eth0.forwarding=${value}`;
    return { at: host(nodeOf(lab, options, 2)), breaks: [set(0)], mends: [set(1)] };
  },
);

export const bridgeNetfilterOff = commandFault(
  { id: "bridge-netfilter-off", summary: "what a bridge forwards skips iptables", scenario: "shop" },
  (lab, options) => {
    const set = (value: number): string => `sysctl -qw net.bridge.bridge-nf-call-iptables=${value}`;
    return { at: host(nodeOf(lab, options, 1)), breaks: [set(0)], mends: [set(1)] };
  },
);

export const forwardDropped = commandFault(
  { id: "forward-dropped", summary: "a host firewall drops forwarded packets of pods", scenario: "shop" },
  (lab, options) => {
    const rule = (verb: string): string =>
      `iptables ${verb} FORWARD -s ${POD_NETWORK} -d ${POD_NETWORK} -m comment --comment "site firewall" -j DROP`;
    return { at: host(nodeOf(lab, options, 2)), breaks: [rule("-I")], mends: [rule("-D")] };
  },
);

export const oneWayPolicy = commandFault(
  {
    id: "one-way-policy",
    summary: "a filter that looks at addresses alone lets requests through and drops their answers",
    scenario: "shop",
  },
  (lab, options) => {
    const node = nodeOf(lab, options, 2);
    const rule = (verb: string): string =>
      `iptables ${verb} FORWARD -s ${podNetwork(lab, node)} -p tcp --sport 8080 -j DROP`;
    return { at: host(node), breaks: [rule("-I")], mends: [rule("-D")] };
  },
);

export const mixedIptables = commandFault(
  {
    id: "mixed-iptables",
    summary: "a rule of iptables-legacy, which iptables-save does not show, drops a pod's packets",
    scenario: "shop",
  },
  (lab, options) => {
    const rule = (verb: string): string =>
      `iptables-legacy ${verb} FORWARD -d ${podOf(lab, nodeOf(lab, options, 2, "peer"))} -j DROP`;
    return { at: host(nodeOf(lab, options, 1)), breaks: [rule("-A")], mends: [rule("-D")] };
  },
);

export const reversePathFiltered: ShippedFault = {
  id: "reverse-path-filtered",
  summary: "a node answers a peer's pods past the tunnel, and drops what comes from them through it",
  scenario: "shop",
  async breakIt(lab, options) {
    const [node, peer] = [nodeOf(lab, options, 3), nodeOf(lab, options, 1, "peer")];
    const lines = [
      "sysctl -qw net.ipv4.conf.all.rp_filter=1",
      `ip route replace ${podNetwork(lab, peer)} via ${internalIp(lab, peer)} dev eth0`,
    ];
    await sh(lab, host(node), ...lines);
  },
  async mendIt(lab, options) {
    const [node, peer] = [nodeOf(lab, options, 3), nodeOf(lab, options, 1, "peer")];
    const routes = claimsAt(lab, host(node), "route").filter(({ state }) => state.dst === podNetwork(lab, peer));
    await restore(lab, routes);
    await sh(lab, host(node), "sysctl -qw net.ipv4.conf.all.rp_filter=0");
  },
};

export const routeShadowed = commandFault(
  {
    id: "route-shadowed",
    summary: "a longer prefix leads some of a peer's pods astray",
    scenario: "shop",
  },
  (lab, options) => {
    const network = podNetwork(lab, nodeOf(lab, options, 2, "peer")).replace("/24", "/28");
    const route = (verb: string): string => `ip route ${verb} ${network} dev eth0`;
    return { at: host(nodeOf(lab, options, 1)), breaks: [route("add")], mends: [route("del")] };
  },
);

export const ruleShadows = commandFault(
  {
    id: "rule-shadows",
    summary: "a policy rule sends pods' packets to a table without routes",
    scenario: "shop",
  },
  (lab, options) => ({
    at: host(nodeOf(lab, options, 1)),
    breaks: [
      "ip route add unreachable default table 100",
      `ip rule add priority 100 from ${POD_NETWORK} to 10.96.0.0/12 lookup 100`,
      `ip rule add priority 101 from ${POD_NETWORK} iif lo lookup 100`,
    ],
    mends: ["ip rule del priority 100", "ip rule del priority 101", "ip route flush table 100"],
  }),
);

export const nextHopDead = commandFault(
  {
    id: "next-hop-dead",
    summary: "one of two next hops to the outside is answered for by nobody, and still used",
    scenario: "shop",
  },
  (lab, options) => ({
    at: host(nodeOf(lab, options, 1)),
    breaks: ["ip route add 192.168.30.0/24 nexthop via 172.30.0.1 dev eth0 nexthop via 172.30.0.99 dev eth0"],
    mends: ["ip route del 192.168.30.0/24"],
  }),
);

export const rangesOverlap = commandFault(
  {
    id: "ranges-overlap",
    summary: "a network beyond the router has the same range as pods",
    scenario: "shop",
  },
  () => {
    const address = (verb: string): string => `ip address ${verb} 10.244.200.1/24 dev eth0`;
    return { at: host("outside"), breaks: [address("add")], mends: [address("del")] };
  },
);
