/**
 * The next address, by Calico's rules (libcalico-go/lib/ipam/ipam.go: AutoAssign and AssignIP): from the host's own blocks, else from
 * a block that it claims, else from one that it reclaims from a host that does not use it, else borrowed from another host's.
 * The state comes back changed, so that the question can be asked again and again.
 */
import { formatIp, formatPrefix, inPrefix, parseIp, prefixOf, type Ip } from "../../../model/address.ts";
import { giveBack, isEmpty, takeExact, type Holder } from "./block.ts";
import { claim, poolFor, putBlock, release, releaseUnselected } from "./ownership.ts";
import { annotatedList, choosePools, enabledPools, selectsNode, type PoolRequest } from "./pools.ts";
import { borrowed, fromNewBlock, fromOwnBlocks, none, type Assignment, type Found, type Search } from "./search.ts";
import { ownerName, sameOwner, type IpamState, type Owner } from "./state.ts";

/** Blocks of a host when neither the configuration nor the request says how many. */
const MOST_BLOCKS = 20;

/** What is asked for: when nothing more is said, an address for a workload that asks for nothing in particular. */
export interface AddressRequest extends Partial<PoolRequest> {
  node: string;
  family: 4 | 6;
  /** Most blocks that the host may have, of the request's own; 0 for none. */
  maxBlocks?: number;
  /** Who gets it, for the record. */
  holder?: Holder;
}

const NOBODY: Holder = { handle: null, attributes: {} };

/** An address that was asked for by itself (AssignIP): its block is claimed when there is none. */
function exact(state: IpamState, wanted: string, owner: Owner, holder: Holder): Found {
  const ip = parseIp(wanted);
  const pool = ip === null ? null : poolFor(enabledPools(state, ip.v), ip);
  if (ip === null || pool === null) return none(state, `${wanted} that was asked for is in no enabled pool`);
  const prefix = prefixOf(ip, pool.blockSize);
  const existing = state.blocks.get(formatPrefix(prefix));
  const { state: current, block } = existing === undefined ? claim(state, prefix, owner) : { state, block: existing };
  if (state.config.strict && !sameOwner(block.owner, owner))
    return none(state, `${wanted} that was asked for is in a block of another host, and strictAffinity is on`);
  const taken = takeExact(block, ip, holder);
  if (taken === null) return none(state, `${wanted} that was asked for is in use`);
  const from = sameOwner(block.owner, owner) || block.owner === null ? null : ownerName(block.owner);
  const why = `${wanted} was asked for by itself`;
  const assignment: Assignment = {
    address: formatIp(ip),
    block: formatPrefix(prefix),
    pool: pool.name,
    rule: "requested",
    from,
    why,
  };
  return { state: putBlock(current, taken), assignment };
}

/**
 * Which address comes next for this request, by which rule, and the state afterwards. With `rule: "none"`, `why` says what is short;
 * a null address with `new-block` is one that a random start decides.
 */
export function nextAddress(state: IpamState, given: AddressRequest): Found {
  const use = given.use ?? "Workload";
  const request: PoolRequest = {
    node: given.node,
    family: given.family,
    use,
    namespace: given.namespace ?? null,
    annotations: given.annotations ?? {},
    configured: given.configured ?? [],
  };
  const virtual = use === "LoadBalancer";
  const owner: Owner = virtual ? { type: "virtual", host: "load-balancer" } : { type: "host", host: given.node };
  const holder = given.holder ?? NOBODY;
  if (!virtual && !state.nodes.has(given.node)) return none(state, `there is no node ${given.node}`);

  const wanted = annotatedList(request.annotations, "cni.projectcalico.org/ipAddrs") ?? [];
  const own = wanted.find((each) => parseIp(each)?.v === given.family);
  if (own !== undefined) return exact(state, own, owner, holder);

  const choice = choosePools(state, request);
  if ("why" in choice) return none(state, choice.why);
  const search: Search = { owner, pools: choice.pools, holder };
  const current = releaseUnselected(state, owner, given.family, choice.pools);
  const mine = current.affinities.filter(
    (each) => sameOwner(each.owner, owner) && poolFor(choice.pools, each.prefix.ip) !== null,
  );
  const found = fromOwnBlocks(current, mine, search);
  if (found !== null) return found;

  const { config } = state;
  const limits = [config.maxBlocksPerHost, given.maxBlocks ?? 0].filter((limit) => limit > 0);
  const most = limits.length === 0 ? MOST_BLOCKS : Math.min(...limits);
  if (mine.length >= most)
    return none(current, `${ownerName(owner)} has ${mine.length} blocks without a free address, and may have ${most}`);
  if (!config.autoAllocate)
    return none(current, "no own block has a free address, and blocks are not claimed on demand");
  const fresh = fromNewBlock(current, search);
  if (fresh !== null) return fresh;
  if (config.strict)
    return none(current, "no block is unclaimed or can be reclaimed, and strictAffinity forbids to borrow");
  const names = choice.pools.map((pool) => pool.name).join(", ");
  return borrowed(current, search) ?? none(current, `every address of ${names} is in use`);
}

/** Gives an address back. Its block goes, too, when it is then empty and has no owner, or its pool no longer selects the owner. */
export function releaseAddress(state: IpamState, ip: Ip): IpamState {
  const block = [...state.blocks.values()].find((each) => inPrefix(ip, each.prefix));
  if (block === undefined) return state;
  const left = giveBack(block, ip);
  const after = putBlock(state, left);
  if (!isEmpty(left)) return after;
  const pool = poolFor(state.pools, left.prefix.ip);
  const { owner } = left;
  if (owner === null) {
    const blocks = new Map(after.blocks);
    blocks.delete(formatPrefix(left.prefix));
    return { ...after, blocks };
  }
  const selected = pool === null || owner.type === "virtual" || selectsNode(state, pool, owner.host);
  return selected ? after : release(after, left, owner);
}
