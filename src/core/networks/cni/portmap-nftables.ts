/** portmap's rules in a table of its own, cni_hostport (since v1.5). */
import { formatIp, parseIp } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import type { RuleState } from "../state.ts";
import type { PodAddress } from "./ipam.ts";
import type { PortMapping } from "./port-mappings.ts";
import type { PortmapConf } from "./portmap-conf.ts";
import type { Forwarded } from "./portmap-iptables.ts";

const TABLE = "cni_hostport";

type Protocol = "ip" | "ip6";

const is = (left: NftJson, right: NftJson): NftJson => ({ match: { op: "==", left, right } });
const payload = (protocol: string, field: string): NftJson => ({ payload: { protocol, field } });

/** Rules of a pod in chain `hostports` (forwardPorts). */
function hostPorts(protocol: Protocol, id: string, address: PodAddress, mappings: readonly PortMapping[]): RuleState[] {
  return mappings.flatMap((mapping): RuleState[] => {
    const host = mapping.hostIP === null ? null : parseIp(mapping.hostIP);
    if (host !== null && host.v !== address.ip.v) return [];
    const anywhere = host === null || /^[0:.]+$/.test(formatIp(host));
    const expr = [
      ...(anywhere ? [] : [is(payload(protocol, "daddr"), formatIp(host))]),
      is(payload(mapping.protocol, "dport"), mapping.hostPort),
      { dnat: { addr: formatIp(address.ip), port: mapping.containerPort } },
    ];
    return [{ expr, comment: id }];
  });
}

/** Rules of a pod in chain `masquerading`: what it or the host's loopback sends to it by the host. */
function masquerading(protocol: Protocol, id: string, address: PodAddress): RuleState[] {
  const own = formatIp(address.ip);
  const sources = protocol === "ip" ? [own, "127.0.0.1"] : [own];
  return sources.map((source) => ({
    expr: [is(payload(protocol, "saddr"), source), is(payload(protocol, "daddr"), own), { masquerade: null }],
    comment: id,
  }));
}

/**
 * The table of one address family for the pods that have an address of it. The ids of sandboxes stand in every rule's comment: without
 * all of them only the chains that hold none are told. Conditions of the configuration are nft's own words, which are not read here:
 * then the two base chains are left out.
 */
export function portmapNftables(at: string, conf: PortmapConf, v: 4 | 6, forwarded: readonly Forwarded[]): Claim[] {
  const protocol: Protocol = v === 4 ? "ip" : "ip6";
  const pods = forwarded.flatMap(({ attachment, mappings }) => {
    const address = attachment.addresses.find(({ ip }) => ip.v === v);
    return address === undefined ? [] : [{ id: attachment.containerId, mappings, address }];
  });
  // The chains stay when the last pod goes.
  const optional = pods.length === 0;
  const chain = (
    name: string,
    base: { type: string; hook: string; priority: number } | null,
    rules: RuleState[] | null,
    // Rules of pods that start together come in any order.
    free = false,
  ): Claim => ({
    owner: "portmap",
    at,
    ...(optional && { optional }),
    kind: "chain",
    state: {
      backend: "nft",
      family: protocol,
      table: TABLE,
      chain: name,
      base: base === null ? null : { ...base, policy: "accept" },
    },
    rules,
    ...(free && rules !== null && { freeOrder: rules.length }),
  });
  const known = pods.flatMap(({ id, ...rest }) => (id === null ? [] : [{ id, ...rest }]));
  const all = known.length === pods.length;
  const jump = (target: string): NftJson => ({ jump: { target } });
  const local: RuleState = {
    expr: [is({ fib: { result: "type", flags: ["daddr"] } }, "local"), jump("hostports_all")],
  };
  const conditions = v === 4 ? conf.conditions4 : conf.conditions6;
  const entry = conditions.length === 0 ? [local] : null;
  const claims = [
    chain(
      "hostports",
      null,
      all ? known.flatMap((pod) => hostPorts(protocol, pod.id, pod.address, pod.mappings)) : null,
      true,
    ),
    // Kept for rules of older versions.
    chain("hostip_hostports", null, []),
    chain("hostports_all", null, [{ expr: [jump("hostip_hostports")] }, { expr: [jump("hostports")] }]),
    chain("prerouting", { type: "nat", hook: "prerouting", priority: -100 }, entry),
    chain("output", { type: "nat", hook: "output", priority: -100 }, entry),
  ];
  if (conf.snat) {
    const rules = all ? known.flatMap((pod) => masquerading(protocol, pod.id, pod.address)) : null;
    claims.push(chain("masquerading", { type: "nat", hook: "postrouting", priority: 100 }, rules, true));
  }
  return claims;
}
