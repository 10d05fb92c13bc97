/** flannel's rules in tables of its own, flannel-ipv4 and flannel-ipv6 (EnableNFTables, v0.26). */
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import type { RuleState } from "../state.ts";
import type { FlannelFamily } from "./settings.ts";
import { networksOf } from "./traffic.ts";

type Protocol = "ip" | "ip6";

/** `ip saddr [!=] NETWORK` in nft's JSON. */
function address(protocol: Protocol, field: "saddr" | "daddr", network: string, op: "==" | "!=" = "=="): NftJson {
  const [addr, len] = network.split("/") as [string, string];
  const whole = protocol === "ip" ? 32 : 128;
  return {
    match: {
      op,
      left: { payload: { protocol, field } },
      right: Number(len) === whole ? addr : { prefix: { addr, len: Number(len) } },
    },
  };
}

function baseChain(
  at: string,
  protocol: Protocol,
  name: string,
  base: { type: string; hook: string; priority: number },
  rules: RuleState[],
  optional: boolean,
): Claim {
  return {
    owner: "flannel",
    at,
    ...(optional ? { optional } : {}),
    kind: "chain",
    state: {
      backend: "nft",
      family: protocol,
      table: protocol === "ip" ? "flannel-ipv4" : "flannel-ipv6",
      chain: name,
      base: { ...base, policy: "accept" },
    },
    rules,
  };
}

const protocolOf = (family: FlannelFamily): Protocol => (family.family === 4 ? "ip" : "ip6");

/**
 * Chain postrtg (pkg/trafficmngr/nftables, addMasqRules). Its fourth rule is wider than that of iptables: it lets whatever goes to the
 * cluster pass that does not come from this node's pods. `optional`: it is not known whether flannel uses nftables.
 */
export function nftMasquerade(at: string, family: FlannelFamily, randomFully: boolean, optional: boolean): Claim[] {
  const networks = networksOf(family);
  if (networks === null) return [];
  const { cluster, pods, multicast } = networks;
  const protocol = protocolOf(family);
  const masquerade: NftJson = { masquerade: randomFully ? { flags: "fully-random" } : null };
  const end: NftJson = { return: null };
  const rules: RuleState[] = [
    { expr: [{ match: { op: "==", left: { meta: { key: "mark" } }, right: 0x4000 } }, end] },
    { expr: [address(protocol, "saddr", pods), address(protocol, "daddr", cluster), end] },
    { expr: [address(protocol, "saddr", cluster), address(protocol, "daddr", pods), end] },
    { expr: [address(protocol, "saddr", pods, "!="), address(protocol, "daddr", cluster), end] },
    { expr: [address(protocol, "saddr", cluster), address(protocol, "daddr", multicast, "!="), masquerade] },
    { expr: [address(protocol, "saddr", cluster, "!="), address(protocol, "daddr", cluster), masquerade] },
  ];
  return [baseChain(at, protocol, "postrtg", { type: "nat", hook: "postrouting", priority: 100 }, rules, optional)];
}

/** Chain forward (SetupAndEnsureForwardRules). */
export function nftForward(at: string, family: FlannelFamily, optional: boolean): Claim[] {
  const networks = networksOf(family);
  if (networks === null) return [];
  const protocol = protocolOf(family);
  const rules = (["saddr", "daddr"] as const).map((field): RuleState => ({
    expr: [address(protocol, field, networks.cluster), { accept: null }],
  }));
  return [baseChain(at, protocol, "forward", { type: "filter", hook: "forward", priority: 0 }, rules, optional)];
}
