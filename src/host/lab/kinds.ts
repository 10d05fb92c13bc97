/** Kinds of links that a kernel may lack, and what would bring each. */
import type { Claim } from "../../core/networks/claim.ts";
import type { AgentClient } from "./agent-client.ts";

/**
 * By iproute2's name: words behind `ip link add NAME` that make one, and what the kernel needs for it. d0 and d1 are the ends of a veth pair:
 * no device has both macvlan and ipvlan on it.
 */
const KINDS: Readonly<Record<string, { words: string; brings: string }>> = {
  bridge: { words: "type bridge", brings: "module bridge (CONFIG_BRIDGE)" },
  veth: { words: "type veth", brings: "module veth (CONFIG_VETH)" },
  vxlan: { words: "type vxlan id 1 dstport 8472", brings: "module vxlan (CONFIG_VXLAN)" },
  macvlan: { words: "link d0 type macvlan mode bridge", brings: "module macvlan (CONFIG_MACVLAN)" },
  ipvlan: { words: "link d1 type ipvlan mode l2", brings: "module ipvlan (CONFIG_IPVLAN)" },
  vlan: { words: "link d0 type vlan id 5", brings: "module 8021q (CONFIG_VLAN_8021Q)" },
  dummy: { words: "type dummy", brings: "module dummy (CONFIG_DUMMY)" },
  ipip: { words: "type ipip local 192.0.2.1 remote 192.0.2.2", brings: "module ipip (CONFIG_NET_IPIP)" },
  sit: { words: "type sit local 192.0.2.1 remote 192.0.2.2", brings: "module sit (CONFIG_IPV6_SIT)" },
  gre: { words: "type gre local 192.0.2.1 remote 192.0.2.2", brings: "module ip_gre (CONFIG_NET_IPGRE)" },
  geneve: { words: "type geneve id 1 remote 192.0.2.2", brings: "module geneve (CONFIG_GENEVE)" },
  vrf: { words: "type vrf table 10", brings: "module vrf (CONFIG_NET_VRF)" },
  wireguard: { words: "type wireguard", brings: "module wireguard (CONFIG_WIREGUARD)" },
  bond: { words: "type bond", brings: "module bonding (CONFIG_BONDING)" },
  ifb: { words: "type ifb", brings: "module ifb (CONFIG_IFB)" },
};

/** A kind of link that is needed and not here. */
export interface MissingKind {
  kind: string;
  /** What would bring it. */
  brings: string;
}

/** Kinds that claims need. */
export const kindsOf = (claims: readonly Claim[]): string[] => [
  ...new Set([
    "veth",
    "bridge",
    ...claims.flatMap((claim) =>
      claim.kind === "link" && Object.hasOwn(KINDS, claim.state.type) ? [claim.state.type] : [],
    ),
  ]),
];

/** Tries each kind in a namespace that nobody else sees; answers those that the kernel has not. */
export async function missingKinds(client: AgentClient, kinds: readonly string[]): Promise<MissingKind[]> {
  const known = kinds.flatMap((kind) => {
    const how = KINDS[kind];
    return how === undefined ? [] : [{ kind, ...how }];
  });
  const { failed } = await client.ask<{ failed: number[]; err: string }>({
    op: "kinds",
    lines: known.map((each) => each.words),
  });
  return failed.flatMap((i) => {
    const each = known[i];
    return each === undefined ? [] : [{ kind: each.kind, brings: each.brings }];
  });
}

/** All kinds, for those who want to know what a machine can. */
export const ALL_KINDS: readonly string[] = Object.keys(KINDS);
