/**
 * The table `arp calico-arp`: the host answers for any address that it has a route to, so Felix drops answers that would tell a pod that
 * its own address is the host's (felix/dataplane/linux/endpoint_mgr.go, updateWorkloadARPChains). Older Felix has no such table, and
 * none is there when the kernel has no nftables, so these claims are optional.
 */
import { formatIp } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import type { RuleState } from "../state.ts";
import { OWNER } from "./claims.ts";
import { ruleHashes } from "./names.ts";
import type { WorkloadEndpoint } from "./workload-endpoints.ts";

const TABLE = { backend: "nft" as const, family: "arp" as const, table: "calico-arp" };
const DISPATCH = "filter-cali-arp-dispatch";
const DEVICE: NftJson = { meta: { key: "oifname" } };

const isEqual = (left: NftJson, right: string): NftJson => ({ match: { op: "==", left, right } });
const field = (name: string): NftJson => ({ payload: { protocol: "arp", field: name } });

interface ArpRule {
  /** As Felix writes it, of which its hash is made. */
  text: string;
  expr: NftJson[];
}

/** Claims for the table on a machine with these pods; `at` is its root namespace. */
export function arpTableClaims(at: string, endpoints: readonly WorkloadEndpoint[]): Claim[] {
  const chain = (name: string, rules: ArpRule[], isHook: boolean): Claim => {
    const hashes = ruleHashes(
      name,
      rules.map(({ text }) => text),
    );
    const states = rules.map(({ expr }, index): RuleState => ({ expr, comment: `cali:${hashes[index]};` }));
    const base = isHook ? { type: "filter", hook: "output", priority: 0, policy: "accept" as const } : null;
    return { kind: "chain", owner: OWNER, at, optional: true, state: { ...TABLE, chain: name, base }, rules: states };
  };
  const chains = endpoints.map(({ device, addresses }) => {
    const rules = addresses
      .filter((ip) => ip.v === 4)
      .map(formatIp)
      .map((ip): ArpRule => ({
        text: `oifname ${device} arp operation reply arp saddr ip ${ip} counter drop`,
        expr: [
          isEqual(DEVICE, device),
          isEqual(field("operation"), "reply"),
          isEqual(field("saddr ip"), ip),
          { drop: null },
        ],
      }));
    return { device, name: `filter-cali-arp-${device}`, rules };
  });
  const elements = chains.map(({ device, name }): NftJson => [device, { goto: { target: name } }]);
  const dispatch: ArpRule = {
    text: `oifname vmap @${DISPATCH}`,
    expr: [{ vmap: { key: DEVICE, data: `@${DISPATCH}` } }],
  };
  return [
    {
      kind: "set",
      owner: OWNER,
      at,
      optional: true,
      state: { ...TABLE, name: DISPATCH, isMap: true, keyTypes: ["ifname"], valueType: "verdict", flags: [], elements },
    },
    chain("filter-OUTPUT", [{ text: `counter jump ${DISPATCH}`, expr: [{ jump: { target: DISPATCH } }] }], true),
    chain(DISPATCH, [dispatch], false),
    ...chains.map(({ name, rules }) => chain(name, rules, false)),
  ];
}
