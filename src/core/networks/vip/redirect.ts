/**
 * The rules that send the VIP's API port to the load balancer (baremetal-runtimecfg pkg/monitor/nftables_linux.go; releases before 4.19
 * used iptables, pkg/monitor/iptables.go). The monitor puts them in when its own HAProxy works and takes them out when it does not.
 */
import { parseIp } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import { IntentError } from "../network.ts";

export interface Redirect {
  vip: string;
  apiPort: number;
  lbPort: number;
}

const COMMENT = "OCP_API_LB_REDIRECT";
const TABLE = "ocp_nat";
const PREROUTING = "ocp_prerouting";
const OUTPUT = "ocp_output";
/** NF_IP_PRI_NAT_DST. */
const DSTNAT = -100;

const familyOf = (vip: string): "ip" | "ip6" => {
  const ip = parseIp(vip);
  if (ip === null) throw new IntentError(`The virtual address "${vip}" is no address`);
  return ip.v === 4 ? "ip" : "ip6";
};

/** The two rules in iptables' words, by chain of table nat. */
function redirectIptables({ vip, apiPort, lbPort }: Redirect): { chain: string; rule: string }[] {
  const host = `${vip}/${familyOf(vip) === "ip" ? 32 : 128}`;
  const rest = `-p tcp -m tcp --dport ${apiPort} -m comment --comment ${COMMENT} -j REDIRECT --to-ports ${lbPort}`;
  return [
    { chain: "PREROUTING", rule: `-d ${host} ${rest}` },
    { chain: "OUTPUT", rule: `-d ${host} -o lo ${rest}` },
  ];
}

const match = (left: NftJson, right: NftJson): NftJson => ({ match: { op: "==", left, right } });

/**
 * Claims of the rules in a machine's root namespace. All of them optional, as they come and go with HAProxy's health; either
 * backend may hold them, by release.
 */
export function redirectClaims(redirect: Redirect, owner: string, place: string): Claim[] {
  const family = familyOf(redirect.vip);
  const { vip, apiPort, lbPort } = redirect;
  const claimed = { owner, at: place, optional: true };
  const head: NftJson[] = [
    match({ payload: { protocol: family, field: "daddr" } }, vip),
    match({ payload: { protocol: "tcp", field: "dport" } }, apiPort),
  ];
  const chain = (name: string, hook: string, expr: NftJson[]): Claim => ({
    ...claimed,
    kind: "chain",
    state: {
      backend: "nft",
      family,
      table: TABLE,
      chain: name,
      base: { type: "nat", hook, priority: DSTNAT, policy: "accept" },
    },
    rules: [{ expr, comment: COMMENT }],
  });
  return [
    chain(PREROUTING, "prerouting", [...head, { dnat: { addr: vip, port: lbPort } }]),
    chain(OUTPUT, "output", [...head, match({ meta: { key: "oifname" } }, "lo"), { redirect: { port: lbPort } }]),
    ...redirectIptables(redirect).map((each): Claim => ({
      ...claimed,
      kind: "rule",
      chain: { backend: "iptables", family, table: "nat", chain: each.chain },
      state: each.rule,
    })),
  ];
}
