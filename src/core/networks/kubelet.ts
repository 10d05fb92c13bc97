/** kubelet: the few chains of iptables that it keeps for others. */
import type { Claim } from "./claim.ts";
import { switchOf } from "./flags.ts";
import { LOCALNET_GUARD } from "./kube-proxy/iptables/frame.ts";
import { kubeletConfiguration } from "./kubelet-config.ts";
import type { Network } from "./network.ts";
import type { Machine, Site } from "./site.ts";
import type { XtFamily } from "./state.ts";

const OWNER = "kubelet";

/** Other programs see by this chain which of iptables' backends the node uses. */
const HINT = "KUBE-IPTABLES-HINT";
/** kubelet makes it anew, and its chains with it, when someone flushed it. */
const CANARY = "KUBE-KUBELET-CANARY";
const TABLES = ["mangle", "nat", "filter"] as const;

/** `makeIPTablesUtilChains` of kubelet's file, or of the flag, which counts more; true when neither says. */
function makesChains(machine: Machine): boolean {
  const flag = switchOf(machine.command("kubelet")?.words ?? [], "make-iptables-util-chains");
  if (flag !== null) return flag;
  return kubeletConfiguration(machine)?.["makeIPTablesUtilChains"] !== false;
}

/** Whether a kubelet that keeps chains of iptables runs on this machine: every node has one, recorded or not. */
export function kubeletKeepsChains(machine: Machine): boolean {
  return (machine.node !== null || machine.command("kubelet") !== null) && makesChains(machine);
}

/**
 * The chains that kubelet keeps since v1.28: a hint and a canary in both families, and in IPv4 the rule that keeps packets from
 * elsewhere off 127.0.0.0/8 (pkg/kubelet/kubelet_network_linux.go, syncIPTablesRules; pkg/util/iptables, Monitor).
 */
function intend(_site: Site, machine: Machine): Claim[] {
  if (!kubeletKeepsChains(machine)) return [];
  const at = machine.place;
  const chain = (family: XtFamily, table: string, name: string, rules: string[]): Claim => ({
    owner: OWNER,
    at,
    kind: "chain",
    state: { backend: "iptables", family, table, chain: name },
    rules,
  });
  const families: XtFamily[] = ["ip", "ip6"];
  return [
    ...families.flatMap((family) => [
      chain(family, "mangle", HINT, []),
      ...TABLES.map((table) => chain(family, table, CANARY, [])),
    ]),
    chain("ip", "filter", "KUBE-FIREWALL", [LOCALNET_GUARD]),
    ...["INPUT", "OUTPUT"].map((name): Claim => ({
      owner: OWNER,
      at,
      kind: "rule",
      chain: { backend: "iptables", family: "ip", table: "filter", chain: name },
      state: "-j KUBE-FIREWALL",
    })),
  ];
}

export const kubelet: Network = {
  name: OWNER,
  about: "kubelet: hint and canary chains, and the guard of 127.0.0.0/8",
  intend,
};
