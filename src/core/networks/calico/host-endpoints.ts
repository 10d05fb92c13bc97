/** Host endpoints: policies for a node's own devices, before and after connection tracking and DNAT, and for what is forwarded. */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Machine } from "../site.ts";
import type { CalicoConfig } from "./config.ts";
import { dispatchChains } from "./dispatch-chains.ts";
import { endpointChain, type EndpointChain } from "./endpoint-chains.ts";
import { text, texts } from "../raw.ts";
import { ACCEPT, goTo, RETURN, rule, type FelixChain, type FelixRule } from "./iptables-rule.ts";
import { inherited } from "./labelled.ts";
import { chainName } from "./names.ts";
import { feet } from "./next-hop.ts";
import { calicoObjects } from "./objects.ts";
import { policiesFor, profileLabelsOf, type TierPolicies } from "./policies.ts";
import type { Policy } from "./policy.ts";

/** A host endpoint on one of the node's devices. */
export interface HostEndpoint {
  device: string;
  tiers: TierPolicies[];
  profiles: string[];
}

/** Stands for every device; longer than any device's name can be. */
const ALL_DEVICES = "any-interface-at-all";

/** The endpoints of this machine: of several for one device the first by name (endpoint_mgr.go, resolveHostEndpoints). */
export function hostEndpoints(cluster: Cluster, machine: Machine): HostEndpoint[] {
  const found = new Map<string, HostEndpoint>();
  const addresses = [...feet(machine, 4), ...feet(machine, 6)];
  for (const { labels, spec } of calicoObjects(cluster, "hostendpoints")) {
    if (text(spec["node"]) !== machine.name) continue;
    const given = text(spec["interfaceName"]);
    const expected = new Set(
      texts(spec["expectedIPs"])
        .map(parseIp)
        .filter((ip) => ip !== null)
        .map(formatIp),
    );
    const device =
      given === "*" ? ALL_DEVICES : (given ?? addresses.find((foot) => expected.has(formatIp(foot.ip)))?.dev);
    if (device === undefined || found.has(device)) continue;
    const profiles = texts(spec["profiles"]);
    const labelOf = inherited(new Map(Object.entries(labels)), profiles, profileLabelsOf(cluster));
    found.set(device, { device, profiles, tiers: policiesFor(cluster, labelOf) });
  }
  return [...found.values()];
}

/** The tiers with those of their policies that pass; tiers with none are left out. */
function only(tiers: readonly TierPolicies[], passes: (policy: Policy) => boolean): TierPolicies[] {
  return tiers
    .map(({ tier, policies }) => ({ tier, policies: policies.filter(passes) }))
    .filter(({ policies }) => policies.length > 0);
}

const isNormal = (policy: Policy): boolean => !policy.doNotTrack && !policy.preDNAT;

/** Names that begin the chains of what comes from a device and what goes to it. */
interface Way {
  from: string | null;
  to: string | null;
  fromDispatch: string;
  toDispatch: string;
}

const NORMAL: Way = {
  from: "cali-fh-",
  to: "cali-th-",
  fromDispatch: "cali-from-host-endpoint",
  toDispatch: "cali-to-host-endpoint",
};
const FORWARD: Way = {
  from: "cali-fhfw-",
  to: "cali-thfw-",
  fromDispatch: "cali-from-hep-forward",
  toDispatch: "cali-to-hep-forward",
};

/** hostDispatchChains. Traffic to a local workload is not the business of an endpoint for all devices. */
function dispatch(way: Way, endpoints: readonly HostEndpoint[], config: CalicoConfig, forward: boolean): FelixChain[] {
  const devices = endpoints.filter((each) => each.device !== ALL_DEVICES).map((each) => each.device);
  const forAll = endpoints.some((each) => each.device === ALL_DEVICES);
  const end = (prefix: string): FelixRule[] => (forAll ? [rule("", goTo(chainName(prefix, ALL_DEVICES)))] : []);
  const skip =
    forAll && !forward
      ? config.devicePrefixes.map((prefix) =>
          rule(`-o ${prefix}+`, RETURN, "Skip egress WHEP policy for traffic to local workload"),
        )
      : [];
  return [
    ...(way.from === null ? [] : dispatchChains(way.fromDispatch, "-i", way.from, devices, end(way.from))),
    ...(way.to === null ? [] : dispatchChains(way.toDispatch, "-o", way.to, devices, [...skip, ...end(way.to)])),
  ];
}

type ChainOf = Pick<EndpointChain, "prefix" | "direction" | "kind" | "tiers" | "failsafe" | "allow"> & {
  profiles?: readonly string[];
};

/** Chains of host endpoints by table. */
export function hostEndpointChains(
  endpoints: readonly HostEndpoint[],
  family: 4 | 6,
  config: CalicoConfig,
): { filter: FelixChain[]; mangle: FelixChain[]; raw: FelixChain[] } {
  const { filterAllow, mangleAllow } = config;
  const chain = ({ device }: HostEndpoint, given: ChainOf): FelixChain =>
    endpointChain({ device, family, allowsVxlan: true, allowsIpip: true, profiles: [], ...given }, config);
  const inFailsafe = { failsafe: "cali-failsafe-in" };
  const outFailsafe = { failsafe: "cali-failsafe-out" };
  const ingress = { direction: "ingress" as const };
  const egress = { direction: "egress" as const };
  const untracked = endpoints.filter((each) => only(each.tiers, (policy) => policy.doNotTrack).length > 0);
  const early = endpoints.filter((each) => only(each.tiers, (policy) => policy.preDNAT).length > 0);
  return {
    filter: [
      ...dispatch(NORMAL, endpoints, config, false),
      ...dispatch(FORWARD, endpoints, config, true),
      ...endpoints.flatMap((each) => {
        const normal = { kind: "normal" as const, tiers: only(each.tiers, isNormal), allow: filterAllow };
        const forwarded = only(each.tiers, (policy) => isNormal(policy) && policy.applyOnForward);
        const forward = { kind: "forward" as const, tiers: forwarded, allow: filterAllow, failsafe: null };
        const { profiles } = each;
        return [
          chain(each, { prefix: "cali-th-", ...egress, ...normal, ...outFailsafe, profiles }),
          chain(each, { prefix: "cali-fh-", ...ingress, ...normal, ...inFailsafe, profiles }),
          chain(each, { prefix: "cali-thfw-", ...egress, ...forward }),
          chain(each, { prefix: "cali-fhfw-", ...ingress, ...forward }),
        ];
      }),
    ],
    mangle: [
      ...dispatch({ ...NORMAL, to: null }, early, config, false),
      ...dispatch({ ...NORMAL, from: null }, endpoints, config, false),
      ...early.map((each) => {
        const tiers = only(each.tiers, (policy) => policy.preDNAT);
        const given = { prefix: "cali-fh-", ...ingress, ...inFailsafe, tiers, allow: mangleAllow };
        return chain(each, { ...given, kind: "pre-dnat" });
      }),
      ...endpoints.map((each) => {
        const given = { prefix: "cali-th-", ...egress, ...outFailsafe, allow: RETURN, profiles: each.profiles };
        return chain(each, { ...given, kind: "normal", tiers: only(each.tiers, isNormal) });
      }),
    ],
    raw: [
      ...dispatch(NORMAL, untracked, config, false),
      ...untracked.flatMap((each) => {
        const tiers = only(each.tiers, (policy) => policy.doNotTrack);
        const given = { kind: "untracked" as const, tiers, allow: ACCEPT };
        return [
          chain(each, { prefix: "cali-th-", ...egress, ...outFailsafe, ...given }),
          chain(each, { prefix: "cali-fh-", ...ingress, ...inFailsafe, ...given }),
        ];
      }),
    ],
  };
}
