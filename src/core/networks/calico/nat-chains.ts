/** Chains of the table nat: floating addresses, and what pods send out of the cluster (felix/rules/nat.go, static.go). */
import type { CalicoNode } from "./calico-node.ts";
import type { CalicoConfig } from "./config.ts";
import { inSet, jump, RETURN, rule, type FelixChain, type FelixRule } from "./iptables-rule.ts";
import { IPIP_DEVICE } from "./ipip.ts";
import { setName } from "./names.ts";
import { vxlanDevice } from "./vxlan.ts";
import type { WorkloadEndpoint } from "./workload-endpoints.ts";

/** Of the host's own addresses but not of the device that the packet leaves by: the kernel took the wrong one. */
const WRONG_SOURCE = ["-m addrtype ! --src-type LOCAL --limit-iface-out", "-m addrtype --src-type LOCAL"];

const MASQUERADE = "-j MASQUERADE --random-fully";

/** Sources that go into tunnels become the tunnel's own. */
function tunnelRules(own: CalicoNode, family: 4 | 6, config: CalicoConfig): FelixRule[] {
  const rules: FelixRule[] = [];
  if (family === 4 && config.ipip && own.ipipAddress !== null)
    rules.push(rule([`-o ${IPIP_DEVICE}`, ...WRONG_SOURCE], MASQUERADE));
  if (config.vxlan[family] && own.vtep[family] !== null) {
    const out = `-o ${vxlanDevice(family)}`;
    // Answers to the tunnel's own port would not be tracked, so no UDP may be sent from there.
    const above = `${config.vxlanPort + 1}-65535`;
    rules.push(
      rule([out, "-p udp", ...WRONG_SOURCE], `-j MASQUERADE --to-ports ${above} --random-fully`),
      rule([out, ...WRONG_SOURCE], MASQUERADE),
    );
  }
  return rules;
}

/** Packets from pools that are translated, to where none of Calico's addresses is (NATOutgoingChain). */
function outgoingRules(family: 4 | 6, config: CalicoConfig): FelixRule[] {
  if (!config.pools.some((pool) => pool.family === family && pool.natOutgoing)) return [];
  const match = [
    inSet(setName(family, "masq-ipam-pools"), "src"),
    inSet(setName(family, "network-ip-pools"), "dst", true),
    ...(config.natExcludesHosts ? [inSet(setName(family, "all-hosts-net"), "dst", true)] : []),
    ...(config.natInterface === null ? [] : [`-o ${config.natInterface}`]),
  ];
  const source = config.natAddress === null ? MASQUERADE : `-j SNAT --to-source ${config.natAddress} --random-fully`;
  if (config.natPorts === null) return [rule(match, source)];
  const withPorts =
    config.natAddress === null
      ? `-j MASQUERADE --to-ports ${config.natPorts} --random-fully`
      : `-j SNAT --to-source ${config.natAddress}:${config.natPorts} --random-fully`;
  return [
    ...["tcp", "udp"].flatMap((protocol) => [
      rule([...match, `-p ${protocol}`], withPorts),
      rule([...match, `-p ${protocol}`], RETURN),
    ]),
    rule(match, source),
  ];
}

/** Floating addresses of this host's endpoints, as rules in the order of the addresses. */
function floatingRules(
  endpoints: readonly WorkloadEndpoint[],
  family: 4 | 6,
): { dnat: FelixRule[]; snat: FelixRule[] } {
  const pairs = endpoints
    .flatMap((endpoint) => endpoint.floatingIPs)
    .filter(({ external }) => external.includes(":") === (family === 6));
  const len = family === 4 ? 32 : 128;
  const dnats = new Map(pairs.map(({ external, internal }) => [external, internal]));
  // Of several external addresses the least serves an endpoint that speaks to itself (floating_ip_mgr.go).
  const snats = new Map<string, string>();
  for (const { external, internal } of pairs) {
    const known = snats.get(internal);
    if (known === undefined || external < known) snats.set(internal, external);
  }
  const sorted = (map: Map<string, string>): [string, string][] => [...map].toSorted(([x], [y]) => (x < y ? -1 : 1));
  return {
    dnat: sorted(dnats).map(([external, internal]) =>
      rule(`-d ${external}/${len}`, `-j DNAT --to-destination ${internal}`),
    ),
    snat: sorted(snats).map(([internal, external]) =>
      rule([`-d ${internal}/${len}`, `-s ${internal}/${len}`], `-j SNAT --to-source ${external} --random-fully`),
    ),
  };
}

export function natChains(
  own: CalicoNode,
  endpoints: readonly WorkloadEndpoint[],
  family: 4 | 6,
  config: CalicoConfig,
): FelixChain[] {
  const floating = floatingRules(config.floatingIPs ? endpoints : [], family);
  return [
    { name: "cali-PREROUTING", rules: [rule("", jump("cali-fip-dnat"))] },
    { name: "cali-OUTPUT", rules: [rule("", jump("cali-fip-dnat"))] },
    {
      name: "cali-POSTROUTING",
      rules: [
        rule("", jump("cali-fip-snat")),
        rule("", jump("cali-nat-outgoing")),
        ...tunnelRules(own, family, config),
      ],
    },
    { name: "cali-fip-dnat", rules: floating.dnat },
    { name: "cali-fip-snat", rules: floating.snat },
    { name: "cali-nat-outgoing", rules: outgoingRules(family, config) },
  ];
}
