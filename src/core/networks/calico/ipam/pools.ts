/** Which pools an address may come from (libcalico-go/lib/ipam determinePools; cni-plugin/pkg/ipamplugin for the annotations). */
import { formatPrefix, parsePrefix } from "../../../model/address.ts";
import { takes, type Labels } from "./labels.ts";
import type { IpamState, Pool, Use } from "./state.ts";

/** What bears on the choice of pools. */
export interface PoolRequest {
  node: string;
  family: 4 | 6;
  use: Use;
  /** Labels and annotations of the pod's namespace; null for what is no pod's. */
  namespace: { labels: Labels; annotations: Labels } | null;
  /** Annotations of the pod. */
  annotations: Labels;
  /** Names or ranges that the CNI configuration asks for (`ipam.ipv4_pools`); empty for none. */
  configured: readonly string[];
}

/** Pools to try, in this order; or why there are none. */
export type PoolChoice = { pools: readonly Pool[]; asked: boolean } | { why: string };

/** The list in an annotation; null when there is no such annotation, or it is no list of texts. */
export function annotatedList(annotations: Labels, key: string): string[] | null {
  const value = Object.hasOwn(annotations, key) ? annotations[key]! : null;
  if (value === null) return null;
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) && parsed.every((each) => typeof each === "string") ? parsed : null;
  } catch {
    return null;
  }
}

/** What was asked for by name or range: the pod's annotation, else its namespace's, else the CNI configuration's; empty for nothing. */
function askedPools(request: PoolRequest): readonly string[] {
  const key = `cni.projectcalico.org/ipv${request.family}pools`;
  return (
    annotatedList(request.annotations, key) ??
    annotatedList(request.namespace?.annotations ?? {}, key) ??
    request.configured
  );
}

/** Pools that give out addresses of this family, by name. */
export function enabledPools(state: IpamState, family: 4 | 6): Pool[] {
  return state.pools.filter((pool) => !pool.disabled && pool.prefix.ip.v === family);
}

/** Whether the pool's nodeSelector takes the host; the virtual host of LoadBalancer addresses has no labels. */
export function selectsNode(state: IpamState, pool: Pool, host: string): boolean {
  return takes(pool.nodeSelector, state.nodes.get(host) ?? {});
}

/** The pools that an address of this kind may come from. Pools asked for by name are taken whatever their selectors say. */
export function choosePools(state: IpamState, request: PoolRequest): PoolChoice {
  const enabled = enabledPools(state, request.family);
  if (enabled.length === 0) return { why: `there is no enabled IPv${request.family} pool` };
  const asked = askedPools(request);
  let chosen: Pool[];
  if (asked.length > 0) {
    chosen = [];
    for (const wanted of asked) {
      const prefix = parsePrefix(wanted);
      const range = prefix === null ? null : formatPrefix(prefix);
      const pool = enabled.find((each) => each.name === wanted || formatPrefix(each.prefix) === range);
      if (pool === undefined) return { why: `the pool ${wanted} that was asked for does not exist or is not enabled` };
      chosen.push(pool);
    }
  } else {
    chosen = enabled.filter(
      (pool) =>
        pool.automatic &&
        selectsNode(state, pool, request.node) &&
        takes(pool.namespaceSelector, request.namespace?.labels ?? {}),
    );
    if (chosen.length === 0) return { why: `no pool selects node ${request.node} and the namespace` };
  }
  const allowed = chosen.filter((pool) => pool.uses.includes(request.use));
  return allowed.length === 0
    ? { why: `no pool that is selected allows the use ${request.use}` }
    : { pools: allowed, asked: asked.length > 0 };
}
