/** flannel's rules in iptables. */
import type { Claim } from "../claim.ts";
import type { XtFamily } from "../state.ts";
import type { FlannelFamily } from "./settings.ts";
import { networksOf } from "./traffic.ts";

/** A chain of flannel's and the rule of the built-in chain that leads to it. */
function chain(
  at: string,
  family: XtFamily,
  place: { table: string; from: string; chain: string; comment: string },
  rules: string[],
  optional: boolean,
): Claim[] {
  const { table } = place;
  const claimed = { owner: "flannel", at, ...(optional ? { optional } : {}) };
  return [
    {
      ...claimed,
      kind: "rule",
      chain: { backend: "iptables", family, table, chain: place.from },
      state: `-m comment --comment "${place.comment}" -j ${place.chain}`,
    },
    { ...claimed, kind: "chain", state: { backend: "iptables", family, table, chain: place.chain }, rules },
  ];
}

const xtFamily = (family: FlannelFamily): XtFamily => (family.family === 4 ? "ip" : "ip6");

/**
 * nat POSTROUTING to FLANNEL-POSTRTG: masquerades what pods send out of the cluster, and what hosts send into it
 * (pkg/trafficmngr/iptables, masqRules, masqIP6Rules). `optional`: it is not known whether flannel uses iptables.
 */
export function iptablesMasquerade(
  at: string,
  family: FlannelFamily,
  randomFully: boolean,
  optional: boolean,
): Claim[] {
  const networks = networksOf(family);
  if (networks === null) return [];
  const { cluster, pods, multicast } = networks;
  const comment = "flanneld masq";
  const rule = (match: string, target: string): string => `${match} -m comment --comment "${comment}" -j ${target}`;
  // kube-proxy's mark says that its own rule will masquerade.
  const marked = "-m mark --mark 0x4000/0x4000";
  const masquerade = `MASQUERADE${randomFully ? " --random-fully" : ""}`;
  const place = { table: "nat", from: "POSTROUTING", chain: "FLANNEL-POSTRTG", comment };
  const rules = [
    rule(marked, "RETURN"),
    rule(`-s ${pods} -d ${cluster}`, "RETURN"),
    rule(`-s ${cluster} -d ${pods}`, "RETURN"),
    rule(`! -s ${cluster} -d ${pods}`, "RETURN"),
    rule(`-s ${cluster} ! -d ${multicast}`, masquerade),
    rule(`! -s ${cluster} -d ${cluster}`, masquerade),
  ];
  return chain(at, xtFamily(family), place, rules, optional);
}

/** filter FORWARD to FLANNEL-FWD: lets the cluster's packets through although the policy may be DROP (forwardRules). */
export function iptablesForward(at: string, family: FlannelFamily, optional: boolean): Claim[] {
  const networks = networksOf(family);
  if (networks === null) return [];
  const comment = "flanneld forward";
  const place = { table: "filter", from: "FORWARD", chain: "FLANNEL-FWD", comment };
  const rules = ["-s", "-d"].map((side) => `${side} ${networks.cluster} -m comment --comment "${comment}" -j ACCEPT`);
  return chain(at, xtFamily(family), place, rules, optional);
}
