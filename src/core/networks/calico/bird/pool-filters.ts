/** Which routes of pods BIRD tells its peers and which it writes into the kernel, by the pools (confd bgp_processor.go, processIPPools). */
import { formatPrefix, inPrefix, parseIp, type Prefix } from "../../../model/address.ts";
import { within } from "../ipam/range.ts";
import type { IpPool } from "../pools.ts";
import type { BgpNode, BgpSettings } from "./settings.ts";

/** What the kernel filter does with routes of a pool. */
export interface KernelRule {
  pool: IpPool;
  accept: boolean;
  /** Text of the reason, as it stands in the configuration; null for none. */
  comment: string | null;
  /** always: through tunl0; cross-subnet: unless the next hop is in the node's own subnet. */
  tunnel: "never" | "always" | "cross-subnet";
}

/** Whether Felix writes the routes to other nodes' blocks of the pool. */
export function felixOwns(pool: IpPool, settings: BgpSettings): boolean {
  if (pool.carrier === "vxlan") return true;
  return pool.carrier === "ipip" ? !settings.programs.ipip : !settings.programs.plain;
}

/** What BIRD writes of a pool's routes. IPv4 alone has IPIP devices. */
function kernelRule(pool: IpPool, settings: BgpSettings): KernelRule {
  if (pool.carrier === "vxlan")
    return { pool, accept: false, comment: "VXLAN routes are handled by Felix.", tunnel: "never" };
  if (felixOwns(pool, settings))
    return { pool, accept: false, comment: "Cluster routes are handled by Felix.", tunnel: "never" };
  const tunnelled = pool.carrier === "ipip" && pool.family === 4;
  const tunnel = !tunnelled ? "never" : pool.crossSubnet ? "cross-subnet" : "always";
  return { pool, accept: true, comment: null, tunnel };
}

function line(cidr: string, action: string, comment: string | null): string {
  return `  if (net ~ ${cidr}) then { ${action}; }${comment === null ? "" : ` # ${comment}`}`;
}

const ofFamily = (pools: readonly IpPool[], family: 4 | 6): IpPool[] => pools.filter((pool) => pool.family === family);

/** Lines of the kernel filter. Of IPv6 only what is refused: the filter ends in an accept. */
export function kernelLines(
  pools: readonly IpPool[],
  family: 4 | 6,
  settings: BgpSettings,
  subnet: Prefix | null,
): string[] {
  const rules = ofFamily(pools, family).map((pool) => kernelRule(pool, settings));
  return rules
    .filter((rule) => family === 4 || !rule.accept)
    .map(({ pool, accept, comment, tunnel }) => {
      const near = subnet === null ? "" : formatPrefix(subnet);
      const set = {
        never: "",
        always: 'krt_tunnel="tunl0"; ',
        "cross-subnet": `if (defined(bgp_next_hop)&&(bgp_next_hop ~ ${near})) then krt_tunnel=""; else krt_tunnel="tunl0"; `,
      }[tunnel];
      return line(formatPrefix(pool.cidr), `${set}${accept ? "accept" : "reject"}`, comment);
    })
    .toSorted();
}

/** Lines of the export filter: pools that are hidden are refused first, the others taken last. */
export function exportLines(pools: readonly IpPool[], family: 4 | 6): { hidden: string[]; shown: string[] } {
  const mine = ofFamily(pools, family);
  const text = (pool: IpPool): string => formatPrefix(pool.cidr);
  return {
    hidden: mine
      .filter((pool) => pool.hidden)
      .map((pool) => line(text(pool), "reject", "BGP export is disabled."))
      .toSorted(),
    shown: mine
      .filter((pool) => !pool.hidden)
      .map((pool) => line(text(pool), "accept", null))
      .toSorted(),
  };
}

/** Lines that keep routes which Felix wrote from being told within the AS: the owner of a block tells of it. */
export function internalLines(pools: readonly IpPool[], family: 4 | 6, settings: BgpSettings): string[] {
  const devices = [
    '(ifname ~ "*.cali")',
    '(ifname ~ "*.calico")',
    ...(settings.programs.ipip ? [] : ['(ifname ~ "tunl0")']),
  ];
  const lines = ["if (defined(ifname)) then {", `  if (${devices.join(" || ")}) then {`, "    reject;", "  }", "}"];
  const cidrs = ofFamily(pools, family)
    .filter((pool) => !pool.hidden && felixOwns(pool, settings))
    .map((pool) => line(formatPrefix(pool.cidr), "reject", null))
    .toSorted();
  if (cidrs.length === 0) return lines;
  return [
    ...lines,
    "if (defined(source) && (source = RTS_INHERIT) && ((dest = RTD_ROUTER) || (dest = RTD_MULTIPATH))) then {",
    "  # Cluster routes for these pools are Felix's to program, and the owning node's to advertise.",
    ...cidrs,
    "}",
  ];
}

/** Lines of the kernel filter for peers that are reached through WireGuard, when this node has it, too. */
export function wireguardLines(own: BgpNode, nodes: readonly BgpNode[], family: 4 | 6): string[] {
  if (own.wireguard[family] === null) return [];
  return nodes
    .filter((node) => node.name !== own.name && node.wireguard[family] !== null && node.address[family] !== null)
    .map(
      (node) =>
        `  if (defined(bgp_next_hop) && bgp_next_hop = ${node.address[family]}) then { reject; } # WireGuard routes handled by Felix.`,
    )
    .toSorted();
}

/** What becomes of a learned route in the kernel: whether it is written, and through which device it is tunnelled. */
export function kernelDecision(
  prefix: Prefix,
  nextHop: string,
  pools: readonly IpPool[],
  settings: BgpSettings,
  subnet: Prefix | null,
): { accept: boolean; tunnel: boolean; why: string | null } {
  for (const pool of pools.filter((each) => within(prefix, each.cidr))) {
    const rule = kernelRule(pool, settings);
    if (!rule.accept) return { accept: false, tunnel: false, why: rule.comment };
    const ip = parseIp(nextHop);
    const near = ip !== null && subnet !== null && inPrefix(ip, subnet);
    return { accept: true, tunnel: rule.tunnel === "always" || (rule.tunnel === "cross-subnet" && !near), why: null };
  }
  return { accept: true, tunnel: false, why: null };
}
