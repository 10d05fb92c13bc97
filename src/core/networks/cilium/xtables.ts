/**
 * Cilium's iptables chains (pkg/datapath/iptables/iptables.go, custom_chain.go; Cilium 1.16). Forwarding itself is BPF's; the rules keep
 * the host's firewall and kube-proxy from getting in its way, and masquerade what leaves the cluster when BPF does not.
 */
import type { Claim } from "../claim.ts";
import type { SetState, XtFamily } from "../state.ts";
import { familiesOf, nodeIpOf, podCidrsOf, routerOf, type LocalNode } from "./local-node.ts";

const OWNER = "cilium";

interface Chain {
  name: string;
  table: string;
  hook: string;
  /** Whether ip6tables has it, too. */
  ipv6: boolean;
}

/** In the order in which they are made; a feeder goes to the top of its hook's chain. */
const CHAINS: readonly Chain[] = [
  { name: "CILIUM_INPUT", table: "filter", hook: "INPUT", ipv6: true },
  { name: "CILIUM_OUTPUT", table: "filter", hook: "OUTPUT", ipv6: true },
  { name: "CILIUM_OUTPUT_raw", table: "raw", hook: "OUTPUT", ipv6: true },
  { name: "CILIUM_POST_nat", table: "nat", hook: "POSTROUTING", ipv6: true },
  { name: "CILIUM_OUTPUT_nat", table: "nat", hook: "OUTPUT", ipv6: false },
  { name: "CILIUM_PRE_nat", table: "nat", hook: "PREROUTING", ipv6: false },
  { name: "CILIUM_POST_mangle", table: "mangle", hook: "POSTROUTING", ipv6: false },
  { name: "CILIUM_PRE_mangle", table: "mangle", hook: "PREROUTING", ipv6: true },
  { name: "CILIUM_PRE_raw", table: "raw", hook: "PREROUTING", ipv6: true },
  { name: "CILIUM_FORWARD", table: "filter", hook: "FORWARD", ipv6: true },
];

/** Marks (linux_defaults/mark.go), as iptables-save prints them. */
const TO_PROXY = "0x200/0xf00";
const FROM_PROXY = "0xa00/0xe00";
const PROXY_REPLY = "0xa00/0xfffffeff";
const PROXY_FORWARD = "0xb00/0xf00";
const L7_UPSTREAM = "0x800/0xe00";
const OVERLAY = "0x400/0xf00";
const IDENTITY = "0xf00/0xf00";
const HOST = "0xc00/0xf00";
const DECRYPT = "0xd00/0xf00";
const ENCRYPT = "0xe00/0xf00";
const PROXY_TO_WORLD = "0x800/0xf00";

const comment = (text: string): string => `-m comment --comment "${text}"`;
const mark = (value: string): string => `-m mark --mark ${value}`;
const notMark = (value: string): string => `-m mark ! --mark ${value}`;

type Rules = Map<string, string[]>;

/** Rules of the proxy that do not depend on its ports (installStaticProxyRules). */
function proxyRules(local: LocalNode, family: 4 | 6, add: (chain: string, rule: string) => void): void {
  if (!local.config.l7Proxy) return;
  const notrack = (match: string, text: string): string => `${match} ${comment(`cilium: ${text}`)} -j CT --notrack`;
  const accept = (value: string, text: string): string => `${mark(value)} ${comment(`cilium: ${text}`)} -j ACCEPT`;
  add("CILIUM_PRE_raw", notrack(mark(TO_PROXY), "NOTRACK for proxy traffic"));
  add("CILIUM_INPUT", accept(TO_PROXY, "ACCEPT for proxy traffic"));
  const reply = "NOTRACK for proxy return traffic";
  const out = (dev: string, value: string, text: string): void =>
    add("CILIUM_OUTPUT_raw", notrack(`-o ${dev} ${mark(value)}`, text));
  if (family === 4) {
    out("lxc+", PROXY_REPLY, reply);
    out("cilium_host", PROXY_REPLY, reply);
    if (local.config.ipsec) out("cilium_host", PROXY_FORWARD, "NOTRACK for proxy forward traffic");
    out("lxc+", L7_UPSTREAM, "NOTRACK for L7 proxy upstream traffic");
    out("cilium_host", L7_UPSTREAM, "NOTRACK for L7 proxy upstream traffic");
  } else {
    out("cilium_host", PROXY_REPLY, reply);
    out("lxc+", PROXY_REPLY, reply);
  }
  add("CILIUM_OUTPUT", accept(FROM_PROXY, "ACCEPT for proxy traffic"));
  if (family === 4) add("CILIUM_OUTPUT", accept(L7_UPSTREAM, "ACCEPT for l7 proxy upstream traffic"));
  add(
    "CILIUM_PRE_mangle",
    `-m socket --transparent ${notMark(ENCRYPT)} ${notMark(PROXY_TO_WORLD)} ${comment("cilium: any->pod redirect proxied traffic to host proxy")} -j MARK --set-xmark 0x200/0xffffffff`,
  );
}

/** Everything to and from Cilium's devices is forwarded, whatever the host's policy (installForwardChainRulesIpX). */
function forwardRules(local: LocalNode, add: (chain: string, rule: string) => void): void {
  const accept = (match: string, text: string): void =>
    add("CILIUM_FORWARD", `${match} ${comment(`cilium: ${text}`)} -j ACCEPT`);
  accept("-o cilium_host", "any->cluster on cilium_host forward accept");
  accept("-i cilium_host", "cluster->any on cilium_host forward accept (nodeport)");
  accept("-i lxc+", "cluster->any on lxc+ forward accept");
  accept("-i cilium_net", "cluster->any on cilium_net forward accept (nodeport)");
  if (!local.config.endpointRoutes) return;
  accept("-o lxc+", "any->cluster on lxc+ forward accept");
  accept("-i lxc+", "cluster->any on lxc+ forward accept (nodeport)");
}

/** Name of the set of nodes, whose traffic keeps its source without a tunnel. */
const nodeSet = (family: 4 | 6): string => `cilium_node_set_v${family}`;

/** Whether the set is needed (DaemonConfig.NodeIpsetNeeded): without a tunnel, and when iptables masquerades. */
function needsNodeSet({ config }: LocalNode): boolean {
  return (
    config.tunnel === null &&
    config.iptablesRules &&
    !config.bpfMasquerade &&
    (config.masquerade4 || config.masquerade6)
  );
}

/** What leaves the cluster gets the node's address (installMasqueradeRules). */
function masqueradeRules(local: LocalNode, family: 4 | 6, add: (chain: string, rule: string) => void): void {
  const { config, node } = local;
  const router = routerOf(node, family);
  const [alloc] = podCidrsOf(node, family);
  const wanted = family === 4 ? config.masquerade4 : config.masquerade6;
  if (!wanted || config.bpfMasquerade || router === null || alloc === undefined) return;
  const post = (rule: string): void => add("CILIUM_POST_nat", rule);
  const native = (family === 4 ? config.nativeRoutingCidr4 : config.nativeRoutingCidr6) ?? alloc;
  const interfaces = config.masqueradeInterfaces.join(",");
  const from = interfaces === "" ? `-s ${alloc}` : `-o ${interfaces}`;
  if (needsNodeSet(local))
    post(
      `${from} -m set --match-set ${nodeSet(family)} dst ${comment("exclude traffic to cluster nodes from masquerade")} -j ACCEPT`,
    );
  const random = config.randomFully ? " --random-fully" : "";
  const leaving = interfaces === "" ? `-s ${alloc} ! -d ${native} ! -o cilium_+` : `! -d ${native} -o ${interfaces}`;
  post(`${leaving} ${comment("cilium masquerade non-cluster")} -j MASQUERADE${random}`);
  post(`${mark(FROM_PROXY)} ${comment("exclude proxy return traffic from masquerade")} -j ACCEPT`);
  const delivery = config.endpointRoutes ? "lxc+" : "cilium_host";
  const snat = `-j SNAT --to-source ${router}`;
  if (config.tunnel !== null)
    post(`! -s ${alloc} ! -d ${alloc} -o cilium_host ${comment("cilium host->cluster masquerade")} ${snat}`);
  const loopback = family === 4 ? "127.0.0.1" : "::1";
  post(
    `-s ${loopback}/${family === 4 ? 32 : 128} -o ${delivery} ${comment(`cilium host->cluster from ${loopback} masquerade`)} ${snat}`,
  );
  if (!config.endpointRoutes)
    post(
      `-o ${delivery} ${mark(IDENTITY)} -m conntrack --ctstate DNAT ${comment("hairpin traffic that originated from a local pod")} ${snat}`,
    );
}

/** Rules of all chains of a family, in order. */
function ciliumRules(local: LocalNode, family: 4 | 6): Rules {
  const rules: Rules = new Map(CHAINS.filter((chain) => family === 4 || chain.ipv6).map((chain) => [chain.name, []]));
  const add = (chain: string, rule: string): void => void rules.get(chain)?.push(rule);
  const { config } = local;
  proxyRules(local, family, add);
  if (config.ipsec)
    for (const chain of CHAINS)
      if (chain.table === "filter" || chain.table === "nat")
        for (const value of [DECRYPT, ENCRYPT])
          add(
            chain.name,
            `${mark(value)} ${comment(`exclude xfrm marks from ${chain.table} ${chain.name} chain`)} -j ACCEPT`,
          );
  forwardRules(local, add);
  add(
    "CILIUM_OUTPUT",
    `${[DECRYPT, ENCRYPT, OVERLAY, FROM_PROXY, L7_UPSTREAM, IDENTITY].map(notMark).join(" ")} ${comment("cilium: host->any mark as from host")} -j MARK --set-xmark ${HOST}`,
  );
  masqueradeRules(local, family, add);
  if (config.ipsec)
    for (const value of [ENCRYPT, DECRYPT])
      rules.get("CILIUM_PRE_raw")?.unshift(`${mark(value)} ${comment("cilium-xfrm-notrack:")} -j CT --notrack`);
  if (config.noConntrackRules && family === 4 && config.nativeRoutingCidr4 !== null)
    for (const chain of ["CILIUM_PRE_raw", "CILIUM_OUTPUT_raw"])
      for (const match of [`-s ${config.nativeRoutingCidr4}`, `-d ${config.nativeRoutingCidr4}`])
        rules.get(chain)?.unshift(`${match} ${comment("cilium: NOTRACK for pod traffic")} -j CT --notrack`);
  return rules;
}

/** Nodes' own addresses of a family (pkg/node/manager, ipset/node_sync.go). */
function setClaim(local: LocalNode, family: 4 | 6): Claim {
  const elements = [local.node, ...local.others].flatMap((node) => {
    const ip = nodeIpOf(node, family);
    return ip === null ? [] : [ip];
  });
  const state: SetState = {
    backend: "ipset",
    name: nodeSet(family),
    type: "hash:ip",
    family: family === 4 ? "inet" : "inet6",
    elements: [...new Set(elements)],
  };
  return { owner: OWNER, at: local.machine.place, kind: "set", state };
}

/** Chains, their rules, the jumps to them, and the set of nodes. */
export function xtablesClaims(local: LocalNode): Claim[] {
  const { config, machine } = local;
  if (!config.iptablesRules) return [];
  const claims: Claim[] = [];
  const claimed = { owner: OWNER, at: machine.place };
  for (const family of familiesOf(config)) {
    const xt: XtFamily = family === 4 ? "ip" : "ip6";
    const rules = ciliumRules(local, family);
    const chains = CHAINS.filter((chain) => rules.has(chain.name));
    for (const { name, table } of chains) {
      const state = { backend: "iptables", family: xt, table, chain: name } as const;
      // The proxy for DNS has TPROXY rules there, with a port that it draws when it starts.
      const open = name === "CILIUM_PRE_mangle" && config.l7Proxy && !config.bpfTproxy;
      claims.push({ ...claimed, kind: "chain", state, rules: open ? null : (rules.get(name) ?? []) });
      if (open)
        for (const rule of rules.get(name) ?? []) claims.push({ ...claimed, kind: "rule", chain: state, state: rule });
    }
    const feeders = chains.filter((chain) => !config.disabledFeeders.includes(chain.hook));
    for (const { name, table, hook } of config.prependChains ? feeders.toReversed() : feeders)
      claims.push({
        ...claimed,
        kind: "rule",
        chain: { backend: "iptables", family: xt, table, chain: hook },
        state: `${comment(`cilium-feeder: ${name}`)} -j ${name}`,
      });
    if (needsNodeSet(local)) claims.push(setClaim(local, family));
  }
  return claims;
}
