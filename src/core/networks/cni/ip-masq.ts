/** `ipMasq` of bridge and ptp: what pods send out of their network gets the host's address. */
import { formatIp, formatPrefix, prefixOf } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import { IntentError } from "../network.ts";
import type { RuleState } from "../state.ts";
import type { Attached } from "./attachments.ts";
import { reader, type JsonObject } from "./json-config.ts";
import { chainName, hashWithPrefix, maskComment, quoted } from "./names.ts";

/** What a plugin knows of its network. */
export interface MasqContext {
  owner: string;
  /** Place of the host's namespace. */
  at: string;
  network: string;
}

/** Longest comment that knftables writes, in characters. */
const NFT_COMMENT = 128;

/** A chain for each container, and the rule of POSTROUTING that leads to it (pkg/ip, SetupIPMasq). */
function iptables({ owner, at, network }: MasqContext, attachment: Attached, id: string): Claim[] {
  const name = chainName(network, id);
  const comment = `-m comment --comment ${quoted(maskComment(network, id))}`;
  return ([4, 6] as const).flatMap((v): Claim[] => {
    const addresses = attachment.addresses.filter(({ ip }) => ip.v === v);
    if (addresses.length === 0) return [];
    const family = v === 4 ? "ip" : "ip6";
    const multicast = v === 4 ? "224.0.0.0/4" : "ff00::/8";
    const nets = new Set(addresses.map(({ ip, len }) => formatPrefix(prefixOf(ip, len))));
    const masquerade = `! -d ${multicast} ${comment} -j MASQUERADE`;
    const [first = "", ...others] = [...nets].map((net) => `-d ${net} ${comment} -j ACCEPT`);
    return [
      {
        owner,
        at,
        kind: "chain",
        state: { backend: "iptables", family, table: "nat", chain: name },
        // Each address appends what is not there yet.
        rules: [first, masquerade, ...others],
      },
      ...addresses.map(({ ip }): Claim => ({
        owner,
        at,
        kind: "rule",
        chain: { backend: "iptables", family, table: "nat", chain: "POSTROUTING" },
        state: `-s ${formatIp(ip)}/${v === 4 ? 32 : 128} ${comment} -j ${name}`,
        // Each pod appends its own when it starts, and pods start in any order.
        freeOrder: true,
      })),
    ];
  });
}

const TABLE = "cni_plugins_masquerade";

function toMulticast(protocol: "ip" | "ip6", addr: string, len: number): RuleState {
  const left: NftJson = { payload: { protocol, field: "daddr" } };
  return { expr: [{ match: { op: "==", left, right: { prefix: { addr, len } } } }, { return: null }] };
}

/** One table for all (pkg/ip, setupIPMasqNFTablesWithInterface, since v1.6). */
function nftables({ owner, at, network }: MasqContext, attachments: readonly Attached[]): Claim[] {
  const rules = attachments.flatMap(({ addresses, containerId, ifname }): RuleState[] => {
    const hash = `${hashWithPrefix(16, "", network)}-${hashWithPrefix(16, "", `${ifname}:${containerId}`)}`;
    const comment = `${hash}, net: ${network}, if: ${ifname}, id: ${containerId}`.replaceAll('"', "");
    return addresses.map(({ ip, len }) => {
      const protocol = ip.v === 4 ? "ip" : "ip6";
      const net = prefixOf(ip, len);
      const whole = len === (ip.v === 4 ? 32 : 128);
      const expr: NftJson[] = [
        { match: { op: "==", left: { payload: { protocol, field: "saddr" } }, right: formatIp(ip) } },
        {
          match: {
            op: "!=",
            left: { payload: { protocol, field: "daddr" } },
            right: whole ? formatIp(net.ip) : { prefix: { addr: formatIp(net.ip), len } },
          },
        },
        { masquerade: null },
      ];
      return { expr, comment: comment.slice(0, NFT_COMMENT) };
    });
  });
  const chain = (
    name: string,
    base: { type: string; hook: string; priority: number } | null,
    of: RuleState[],
  ): Claim => ({
    owner,
    at,
    kind: "chain",
    state: {
      backend: "nft",
      family: "inet",
      table: TABLE,
      chain: name,
      base: base === null ? null : { ...base, policy: "accept" },
    },
    rules: of,
    // Pods that start together come in any order.
    ...(base === null && { freeOrder: of.length }),
  });
  return [
    chain("masq_checks", null, rules),
    chain("postrouting", { type: "nat", hook: "postrouting", priority: 100 }, [
      toMulticast("ip", "224.0.0.0", 4),
      toMulticast("ip6", "ff00::", 8),
      { expr: [{ goto: { target: "masq_checks" } }] },
    ]),
  ];
}

/**
 * The rules of `ipMasq` for these pods, in the backend that `ipMasqBackend` names (iptables when it names none). A container whose id
 * was not recorded is left out: chain and comment are made of it. Throws IntentError for a backend that does not exist.
 */
export function ipMasq(
  context: MasqContext,
  conf: JsonObject,
  what: string,
  attachments: readonly Attached[],
): Claim[] {
  const backend = reader(conf, what).text("ipMasqBackend") ?? "iptables";
  const known = attachments.filter((each) => each.containerId !== null && each.addresses.length > 0);
  switch (backend) {
    case "iptables":
      return known.flatMap((each) => iptables(context, each, each.containerId ?? ""));
    case "nftables":
      return known.length === 0 || known.length < attachments.length ? [] : nftables(context, known);
    default:
      throw new IntentError(`${what}: "ipMasqBackend" should be iptables or nftables, not ${backend}`);
  }
}
