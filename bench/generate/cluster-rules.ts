/** iptables and ip6tables of each node of a made cluster: kube-proxy's rules, which nearly all are the same everywhere, and flannel's. */
import type { ClusterPlan, PlannedNode } from "./cluster-plan.ts";
import {
  CLUSTER_CIDR,
  FILTER_RULES,
  FILTER_TABLE,
  MANGLE_TABLE,
  NAT_BASE,
  NAT_FRAME,
  NAT_RULES,
  NODE_PORTS_RULE,
  serviceChains,
  tableLines,
  type KubeService,
} from "./kube-proxy-iptables.ts";
import { seededRandom, shuffle } from "./random.ts";

/** Chains of one Service are counted on a node when something there speaks to it: so many of a thousand. */
const BUSY = 40;

const flannelForward = ["-s", "-d"].map(
  (side) => `-A FLANNEL-FWD ${side} ${CLUSTER_CIDR} -m comment --comment "flanneld forward" -j ACCEPT`,
);

/** pkg/trafficmngr/iptables, masqRules. */
function flannelPostrouting(block: string): string[] {
  const rule = (match: string, target: string): string =>
    `-A FLANNEL-POSTRTG ${match} -m comment --comment "flanneld masq" -j ${target}`;
  return [
    rule("-m mark --mark 0x4000/0x4000", "RETURN"),
    rule(`-s ${block} -d ${CLUSTER_CIDR}`, "RETURN"),
    rule(`-s ${CLUSTER_CIDR} -d ${block}`, "RETURN"),
    rule(`! -s ${CLUSTER_CIDR} -d ${block}`, "RETURN"),
    rule(`-s ${CLUSTER_CIDR} ! -d 224.0.0.0/4`, "MASQUERADE --random-fully"),
    rule(`! -s ${CLUSTER_CIDR} -d ${CLUSTER_CIDR}`, "MASQUERADE --random-fully"),
  ];
}

/** The filter table with what flannel adds to it. */
const FILTER = {
  ...FILTER_TABLE,
  user: ["FLANNEL-FWD", ...FILTER_TABLE.user],
  rules: FILTER_RULES.flatMap((rule, i) => {
    const rules = [rule];
    const next = FILTER_RULES[i + 1] ?? "";
    if (rule.startsWith("-A FORWARD") && !next.startsWith("-A FORWARD"))
      rules.push('-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD');
    if (rule.startsWith("-A OUTPUT") && !next.startsWith("-A OUTPUT")) rules.push(...flannelForward);
    return rules;
  }),
};

const IP6_TABLES = [
  MANGLE_TABLE,
  {
    ...FILTER_TABLE,
    // kubelet guards 127.0.0.0/8 alone; here kube-proxy makes the jumps, before its others.
    rules: FILTER_RULES.filter((rule) => !rule.includes("127.0.0.0/8")).toSorted(
      (a, b) => Number(b.endsWith("-j KUBE-FIREWALL")) - Number(a.endsWith("-j KUBE-FIREWALL")),
    ),
  },
  {
    name: "nat",
    base: NAT_BASE,
    user: [...NAT_FRAME.map(([name]) => name), "KUBE-SERVICES"],
    rules: [
      ...NAT_RULES,
      ...NAT_FRAME.flatMap(([, rules]) => rules),
      NODE_PORTS_RULE.replace("-A KUBE-SERVICES", "-A KUBE-SERVICES ! -d ::1/128"),
    ],
  },
];

interface Chain {
  name: string;
  rules: readonly string[];
  /** Its lines when no packet has met them. */
  idle: string;
  /** Number of its Service, -1 for none. */
  service: number;
}

const idleLines = (rules: readonly string[]): string => rules.map((rule) => `[0:0] ${rule}\n`).join("");

/** Prints the saves; what all nodes have in common is made once. */
export class RulesPrinter {
  private readonly services: readonly KubeService[];
  private readonly portals: readonly string[];
  private readonly chains: readonly Chain[];
  private readonly nodes: ReadonlyMap<string, PlannedNode>;
  readonly ip6: string;

  constructor(plan: ClusterPlan) {
    this.services = plan.services;
    this.nodes = new Map(plan.nodes.map((node) => [node.name, node]));
    const chain = (name: string, rules: readonly string[], service: number): Chain => ({
      name,
      rules,
      idle: idleLines(rules),
      service,
    });
    const made = this.services.map(serviceChains);
    this.portals = made.map((each) => each.portal);
    this.chains = [
      ...NAT_FRAME.map(([name, rules]) => chain(name, rules, -1)),
      ...made.flatMap((each, i) => each.chains.map(([name, rules]) => chain(name, rules, i))),
      // Their rules are each node's own.
      chain("FLANNEL-POSTRTG", [], -1),
      chain("KUBE-SERVICES", [], -1),
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const lines = IP6_TABLES.flatMap((table) => tableLines(table, (rule) => `[0:0] ${rule}`));
    this.ip6 = `${lines.join("\n")}\n`;
  }

  /** iptables-save -c of a node. */
  ip4(name: string): string {
    const node = this.nodes.get(name);
    if (node === undefined) return "";
    const random = seededRandom(node.number + 101);
    const counted = (rule: string): string => {
      const packets = Math.floor(1000 ** (random() * 2));
      return `[${packets}:${packets * 60}] ${rule}`;
    };
    const busy = new Set<number>();
    this.services.forEach((_, i) => random() * 1000 < BUSY && busy.add(i));
    const parts: string[] = [];
    for (const table of [MANGLE_TABLE, FILTER]) parts.push(...tableLines(table, counted).map((line) => `${line}\n`));
    const nat = {
      name: "nat",
      base: NAT_BASE,
      user: this.chains.map((chain) => chain.name),
      rules: [...NAT_RULES, '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG'],
    };
    const lines = tableLines(nat, counted).map((line) => `${line}\n`);
    // COMMIT and the line after it come last.
    parts.push(...lines.slice(0, -2));
    for (const chain of this.chains) parts.push(this.rulesOf(chain, node, busy, random, counted));
    parts.push(...lines.slice(-2));
    return parts.join("");
  }

  private rulesOf(
    chain: Chain,
    node: PlannedNode,
    busy: ReadonlySet<number>,
    random: () => number,
    counted: (rule: string) => string,
  ): string {
    const lines = (rules: readonly string[], of: (i: number) => boolean): string =>
      rules.map((rule, i) => (of(i) ? `${counted(rule)}\n` : `[0:0] ${rule}\n`)).join("");
    if (chain.name === "FLANNEL-POSTRTG") return lines(flannelPostrouting(node.block), () => true);
    if (chain.name === "KUBE-SERVICES") {
      // kube-proxy walks a Go map, which has no order.
      const order = shuffle([...this.portals.keys()], random);
      const rules = order.map((i) => this.portals[i] ?? "");
      return lines([...rules, NODE_PORTS_RULE], (i) => busy.has(order[i] ?? -1));
    }
    if (!busy.has(chain.service)) return chain.idle;
    // The first rule of a Service's chain masquerades who comes from elsewhere: nobody.
    return chain.name.startsWith("KUBE-SVC-")
      ? lines(chain.rules, (i) => i > 0)
      : lines(chain.rules, (i) => i > 0 && random() < 0.5);
  }
}
