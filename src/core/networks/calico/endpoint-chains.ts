/** Chains that decide about one endpoint's traffic, and those of groups of policies (felix/rules/endpoints.go). */
import { sha3_224 } from "@noble/hashes/sha3.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { CalicoConfig } from "./config.ts";
import {
  ACCEPT,
  clearMark,
  conntrack,
  jump,
  markClear,
  markNotClear,
  markSet,
  NOTRACK,
  RETURN,
  rule,
  setMark,
  type FelixChain,
  type FelixRule,
} from "./iptables-rule.ts";
import { chainName, groupId } from "./names.ts";
import { chainId, type Direction, type Policy } from "./policy.ts";
import { POLICY_PREFIX, PROFILE_PREFIX, type TierPolicies } from "./policies.ts";
import { formatSelector } from "./selector.ts";

/** Policies with one selector: where one applies all do, so that two or more of them share a chain. */
export interface PolicyGroup {
  direction: Direction;
  policies: Policy[];
}

const GROUP_PREFIX: Record<Direction, string> = { ingress: "cali-gi-", egress: "cali-go-" };

/** Name of a group's chain. */
function groupChain({ direction, policies }: PolicyGroup): string {
  const [first] = policies;
  const lines = [
    first === undefined ? "" : formatSelector(first.selector),
    direction === "ingress" ? "inbound" : "outbound",
    `${policies.length}`,
    ...policies.map(({ id }) => `{Name: ${id.name}, Namespace: ${id.namespace}, Kind: ${id.kind}}`),
  ];
  const prefix = GROUP_PREFIX[direction];
  const digest = sha3_224(utf8ToBytes(lines.map((line) => `${line}\n`).join("")));
  return prefix + groupId(digest, 28 - prefix.length);
}

/** Neighbouring policies with one selector (endpoint_mgr.go, groupPolicies). */
export function groups(policies: readonly Policy[], direction: Direction): PolicyGroup[] {
  const found: PolicyGroup[] = [];
  for (const policy of policies.filter((each) => each.governs[direction])) {
    const last = found.at(-1);
    const [first] = last?.policies ?? [];
    if (last !== undefined && first !== undefined && formatSelector(first.selector) === formatSelector(policy.selector))
      last.policies.push(policy);
    else found.push({ direction, policies: [policy] });
  }
  return found;
}

/** After so many policies of a group a rule leaves the chain if they have decided. */
const STRIDE = 5;

/** The chain of a group (PolicyGroupToIptablesChains). */
export function groupToChain(group: PolicyGroup, { marks }: CalicoConfig): FelixChain {
  const verdict = marks.pass | marks.accept;
  const rules = group.policies.flatMap((policy, i): FelixRule[] => {
    const target = jump(chainName(POLICY_PREFIX[group.direction], chainId(policy.id)));
    if (i % STRIDE !== 0) return [rule(markClear(verdict), target)];
    return i === 0 ? [rule("", target)] : [rule(markNotClear(verdict), RETURN, "Return on verdict"), rule("", target)];
  });
  return { name: groupChain(group), rules };
}

export interface EndpointChain {
  /** Begins its name: `cali-tw-`. */
  prefix: string;
  device: string;
  direction: Direction;
  /** What it is for: connections, packets before connection tracking, before DNAT, or what is forwarded. */
  kind: "normal" | "untracked" | "pre-dnat" | "forward";
  tiers: readonly TierPolicies[];
  profiles: readonly string[];
  /** Chain that is asked first; null for none. */
  failsafe: string | null;
  allow: string;
  allowsVxlan: boolean;
  allowsIpip: boolean;
  family: 4 | 6;
}

function conntrackRules(allow: string, config: CalicoConfig, deny: string): FelixRule[] {
  const established = conntrack("RELATED,ESTABLISHED");
  return [
    ...(allow === ACCEPT ? [] : [rule(established, setMark(config.marks.accept))]),
    rule(established, allow),
    ...(config.dropsInvalid ? [rule(conntrack("INVALID"), deny)] : []),
  ];
}

/** Rules of one tier; none when none of its policies decides about this direction. */
function tierRules(
  chain: EndpointChain,
  { tier, policies }: TierPolicies,
  config: CalicoConfig,
  deny: string,
): FelixRule[] {
  const { marks } = config;
  const all = groups(policies, chain.direction);
  if (all.length === 0) return [];
  const targets = all.map((group) => {
    const [first] = group.policies;
    return group.policies.length > 1 || first === undefined
      ? groupChain(group)
      : chainName(POLICY_PREFIX[chain.direction], chainId(first.id));
  });
  const asked = targets.flatMap((target) => [
    rule(markClear(marks.pass), jump(target)),
    ...(chain.kind === "untracked" ? [rule(markSet(marks.accept), NOTRACK)] : []),
    rule(markSet(marks.accept), RETURN, "Return if policy accepted"),
  ]);
  const ends = (chain.kind === "normal" || chain.kind === "forward") && !tier.passes;
  const end = `End of tier ${tier.name}. ${config.deny.word} if no policies passed packet`;
  return [
    rule("", clearMark(marks.pass), `Start of tier ${tier.name}`),
    ...asked,
    ...(ends ? [rule(markClear(marks.pass), deny, end)] : []),
  ];
}

/** One chain of an endpoint (endpointIptablesChain). */
export function endpointChain(chain: EndpointChain, config: CalicoConfig): FelixChain {
  const { marks } = config;
  const deny = config.deny.target[chain.family];
  const word = config.deny.word;
  const tiers = chain.tiers.flatMap((each) => tierRules(chain, each, config, deny));
  const profiles = chain.profiles.flatMap((profile) => [
    rule("", jump(chainName(PROFILE_PREFIX[chain.direction], profile))),
    rule(markSet(marks.accept), RETURN, "Return if profile accepted"),
  ]);
  return {
    name: chainName(chain.prefix, chain.device),
    rules: [
      ...(chain.kind === "untracked" ? [] : conntrackRules(chain.allow, config, deny)),
      ...(chain.failsafe === null ? [] : [rule("", jump(chain.failsafe))]),
      rule("", clearMark(marks.accept | marks.pass)),
      ...(chain.allowsVxlan
        ? []
        : [
            rule(
              ["-p udp", `-m multiport --dports ${config.vxlanPort}`],
              deny,
              `${word} VXLAN encapped packets originating in workloads`,
            ),
          ]),
      ...(chain.allowsIpip ? [] : [rule("-p 4", deny, `${word} IPinIP encapped packets originating in workloads`)]),
      ...tiers,
      ...(chain.tiers.length === 0 && chain.kind === "forward"
        ? [
            rule("", setMark(marks.accept), "Allow forwarded traffic by default"),
            rule("", RETURN, "Return for accepted forward traffic"),
          ]
        : []),
      ...(chain.kind === "normal" ? [...profiles, rule("", deny, `${word} if no profiles matched`)] : []),
    ],
  };
}
