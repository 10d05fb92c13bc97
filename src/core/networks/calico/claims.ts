/** Short ways to write Calico's claims. */
import type { Claim } from "../claim.ts";
import {
  MAIN_TABLE,
  type AddressState,
  type FdbState,
  type LinkState,
  type NeighbourState,
  type RouteState,
} from "../state.ts";

export const OWNER = "calico";

export const link = (at: string, state: LinkState): Claim => ({ kind: "link", owner: OWNER, at, state });
export const address = (at: string, state: AddressState): Claim => ({ kind: "address", owner: OWNER, at, state });
export const neighbour = (at: string, state: NeighbourState): Claim => ({ kind: "neighbour", owner: OWNER, at, state });
export const fdb = (at: string, state: FdbState): Claim => ({ kind: "fdb", owner: OWNER, at, state });
export const sysctl = (at: string, key: string, value: string): Claim => ({
  kind: "sysctl",
  owner: OWNER,
  at,
  state: { key, value },
});

/** A route of the main table; its metric is 0 with IPv4 and 1024 with IPv6 when not said, as the kernel has it. */
export function route(
  at: string,
  state: Omit<RouteState, "table" | "metric" | "type"> & { metric?: number; type?: string },
): Claim {
  const metric = state.metric ?? (state.family === 4 ? 0 : 1024);
  return { kind: "route", owner: OWNER, at, state: { type: "unicast", table: MAIN_TABLE, ...state, metric } };
}
