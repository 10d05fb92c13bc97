/** Chains of the tables filter, raw and mangle that are there whatever endpoints and policies are (felix/rules/static.go). */
import type { CalicoConfig, FailsafePort } from "./config.ts";
import {
  ACCEPT,
  clearMark,
  conntrack,
  goTo,
  inSet,
  jump,
  markClear,
  markSet,
  NOTRACK,
  REJECT,
  RETURN,
  rule,
  setMark,
  type FelixChain,
  type FelixRule,
} from "./iptables-rule.ts";
import { setName } from "./names.ts";

/** What the static chains of one family depend on. */
export interface StaticOptions {
  config: CalicoConfig;
  family: 4 | 6;
}

const LOCAL_DST = "-m addrtype --dst-type LOCAL";
const LOCAL_SRC = "-m addrtype --src-type LOCAL";

/** All bits that are cleared before chains begin. */
const allBits = ({ marks }: CalicoConfig): number =>
  (marks.accept | marks.pass | marks.scratch0 | marks.scratch1) >>> 0;

/** A host endpoint's policies have allowed the packet already. */
const HEP_ACCEPTED = "Host endpoint policy accepted packet.";

/** Packets of neighbour discovery and multicast listening, without which a router is none (ICMPv6Filter). */
const ICMP6_TYPES = [130, 131, 132, 133, 135, 136];

function inputChain(options: StaticOptions): FelixChain {
  const { config, family } = options;
  const allow = config.filterAllow;
  const rules: FelixRule[] = [];
  if (family === 4 && config.ipip) {
    const hosts = inSet(setName(4, "all-hosts-net"), "src");
    rules.push(
      rule(["-p 4", hosts, LOCAL_DST], allow, "Allow IPIP packets from Calico hosts"),
      rule("-p 4", config.deny.target[family], `${config.deny.word} IPIP packets from non-Calico hosts`),
    );
  }
  if (config.vxlan[family]) {
    const ports = ["-p udp", `-m multiport --dports ${config.vxlanPort}`];
    const hosts = inSet(setName(family, "all-vxlan-net"), "src");
    // Of IPv4, these are dropped even where everything else is rejected.
    const [target, word] = family === 4 ? ["-j DROP", "Drop"] : [config.deny.target[family], config.deny.word];
    rules.push(
      rule([...ports, hosts, LOCAL_DST], allow, `Allow IPv${family} VXLAN packets from allowed hosts`),
      rule([...ports, LOCAL_DST], target, `${word} IPv${family} VXLAN packets from non-allowed hosts`),
    );
  }
  return {
    name: "cali-INPUT",
    rules: [
      ...rules,
      ...config.devicePrefixes.map((prefix) => rule(`-i ${prefix}+`, goTo("cali-wl-to-host"))),
      rule(markSet(config.marks.accept), allow),
      rule("", clearMark(allBits(config))),
      rule("", jump("cali-from-host-endpoint")),
      rule(markSet(config.marks.accept), allow, HEP_ACCEPTED),
    ],
  };
}

function workloadToHostChain(options: StaticOptions): FelixChain {
  const { config, family } = options;
  const allow = config.filterAllow;
  const actions: Record<string, string> = { DROP: "-j DROP", REJECT: REJECT[family], ACCEPT };
  return {
    name: "cali-wl-to-host",
    rules: [
      ...(family === 6
        ? ICMP6_TYPES.map((type) => rule(["-p ipv6-icmp", `-m icmp6 --icmpv6-type ${type}`], allow))
        : []),
      rule("", jump("cali-from-wl-dispatch")),
      rule("", actions[config.endpointToHost] ?? RETURN, "Configured DefaultEndpointToHostAction"),
    ],
  };
}

function forwardChain({ config }: StaticOptions): FelixChain {
  const { marks } = config;
  return {
    name: "cali-FORWARD",
    rules: [
      rule("", clearMark(allBits(config) & ~marks.accept)),
      rule(markClear(marks.accept), jump("cali-from-hep-forward")),
      ...config.devicePrefixes.flatMap((prefix) => [
        rule(`-i ${prefix}+`, jump("cali-from-wl-dispatch")),
        rule(`-o ${prefix}+`, jump("cali-to-wl-dispatch")),
      ]),
      rule("", jump("cali-to-hep-forward")),
      rule("", jump("cali-cidr-block")),
    ],
  };
}

/** Rules at the end of FORWARD (StaticFilterForwardAppendRules). */
export function forwardTail(config: CalicoConfig): FelixRule[] {
  const { accept } = config.marks;
  return [rule(markSet(accept), config.filterAllow, "Policy explicitly accepted packet."), rule("", setMark(accept))];
}

function outputChain(options: StaticOptions): FelixChain {
  const { config, family } = options;
  const allow = config.filterAllow;
  const { accept } = config.marks;
  const tunnels: FelixRule[] = [];
  if (family === 4 && config.ipip) {
    const hosts = inSet(setName(4, "all-hosts-net"), "dst");
    tunnels.push(rule(["-p 4", hosts, LOCAL_SRC], allow, "Allow IPIP packets to other Calico hosts"));
  }
  if (config.vxlan[family]) {
    const match = ["-p udp", `-m multiport --dports ${config.vxlanPort}`, LOCAL_SRC];
    const hosts = inSet(setName(family, "all-vxlan-net"), "dst");
    tunnels.push(rule([...match, hosts], allow, `Allow IPv${family} VXLAN packets to other allowed hosts`));
  }
  return {
    name: "cali-OUTPUT",
    rules: [
      rule(markSet(accept), allow),
      ...config.devicePrefixes.map((prefix) => rule(`-o ${prefix}+`, RETURN)),
      ...tunnels,
      rule("", clearMark(allBits(config))),
      rule("-m conntrack ! --ctstate DNAT", jump("cali-to-host-endpoint")),
      rule(markSet(accept), allow, HEP_ACCEPTED),
    ],
  };
}

/** Drops what comes for a Service's network and is no Service's, which would go round between the node and its router (nat.go). */
function serviceLoopChain({ config, family }: StaticOptions): FelixChain {
  const action = { Drop: "-j DROP", Reject: REJECT[family], Disabled: null }[config.serviceLoop];
  const nets = config.serviceRanges.filter((net) => net.includes(":") === (family === 6));
  return { name: "cali-cidr-block", rules: action === null ? [] : nets.map((net) => rule(`-d ${net}`, action)) };
}

/** Ports of one direction that stay open: `own` by destination, and before connection tracking the answers from the other direction's. */
function failsafeChain(
  name: string,
  table: "filter" | "mangle" | "raw",
  own: readonly FailsafePort[],
  answers: readonly FailsafePort[],
  netOption: "-s" | "-d",
  family: 4 | 6,
): FelixChain {
  const rules = (ports: readonly FailsafePort[], option: string): FelixRule[] =>
    ports
      .filter(({ net }) => net === null || net.includes(":") === (family === 6))
      .map(({ protocol, port, net }) => {
        const match = [`-p ${protocol}`, `-m multiport ${option} ${port}`];
        const everywhere = net === null || net.endsWith("/0");
        return rule(everywhere ? match : [...match, `${netOption} ${net}`], ACCEPT);
      });
  return { name, rules: [...rules(own, "--dports"), ...(table === "raw" ? rules(answers, "--sports") : [])] };
}

function failsafeChains(table: "filter" | "mangle" | "raw", { config, family }: StaticOptions): FelixChain[] {
  const { failsafeIn, failsafeOut } = config;
  return [
    failsafeChain("cali-failsafe-in", table, failsafeIn, failsafeOut, "-s", family),
    failsafeChain("cali-failsafe-out", table, failsafeOut, failsafeIn, "-d", family),
  ];
}

export function filterChains(options: StaticOptions): FelixChain[] {
  return [
    forwardChain(options),
    inputChain(options),
    workloadToHostChain(options),
    outputChain(options),
    serviceLoopChain(options),
    ...failsafeChains("filter", options),
  ];
}

/** `spoofing` are sources that workloads may use though routes do not lead back there, by device. */
export function rawChains(options: StaticOptions, spoofing: readonly { device: string; net: string }[]): FelixChain[] {
  const { config, family } = options;
  const { accept, scratch0 } = config.marks;
  const untracked = config.vxlan[family] ? [rule(["-p udp", `-m udp --dport ${config.vxlanPort}`], NOTRACK)] : [];
  return [
    ...failsafeChains("raw", options),
    {
      name: "cali-PREROUTING",
      rules: [
        rule("", clearMark(allBits(config))),
        ...untracked,
        ...config.devicePrefixes.map((prefix) => rule(`-i ${prefix}+`, setMark(scratch0))),
        rule(markSet(scratch0), jump("cali-rpf-skip")),
        rule([markSet(scratch0), "-m rpfilter --validmark --invert"], config.deny.target[family]),
        rule(markClear(scratch0), jump("cali-from-host-endpoint")),
        rule(markSet(accept), ACCEPT),
      ],
    },
    { name: "cali-rpf-skip", rules: spoofing.map(({ device, net }) => rule([`-i ${device}`, `-s ${net}`], ACCEPT)) },
    {
      name: "cali-OUTPUT",
      rules: [
        rule("", clearMark(allBits(config))),
        rule("", jump("cali-to-host-endpoint")),
        ...untracked,
        rule(markSet(accept), ACCEPT),
      ],
    },
  ];
}

export function mangleChains(options: StaticOptions): FelixChain[] {
  const { config, family } = options;
  const { accept } = config.marks;
  const allow = config.mangleAllow;
  const leaves = [
    inSet(setName(family, "dscp-src-net"), "src"),
    inSet(setName(family, "network-ip-pools"), "dst", true),
    inSet(setName(family, "this-host"), "dst", true),
  ];
  return [
    ...failsafeChains("mangle", options),
    {
      name: "cali-PREROUTING",
      rules: [
        rule(conntrack("RELATED,ESTABLISHED"), allow),
        rule(markSet(accept), allow),
        rule("", jump("cali-from-host-endpoint")),
        rule(markSet(accept), allow, HEP_ACCEPTED),
      ],
    },
    {
      name: "cali-POSTROUTING",
      rules: [
        rule(leaves, jump("cali-egress-dscp"), "set dscp for traffic leaving cluster."),
        rule(markSet(accept), RETURN),
        rule("", clearMark(allBits(config))),
        rule(conntrack("DNAT"), jump("cali-to-host-endpoint")),
        rule(markSet(accept), RETURN, HEP_ACCEPTED),
      ],
    },
    { name: "cali-egress-dscp", rules: [] },
  ];
}
