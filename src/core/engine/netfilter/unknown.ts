/**
 * What of a namespace's rules could not be read, and whether that matters.
 *
 * - nft missing: native tables may hold rules. Programs in containers bring their own nft (kube-proxy, Calico, flannel), so
 *   that the node has no such tool says nothing. Every answer is then unknown, and says so.
 * - iptables missing, nft there: tables of iptables-nft show in nft.json, and what it prints lossily is unknown rule by rule.
 * - Legacy tables missing: only a legacy iptables makes them, and iptables-nft warns of them, which the loader has looked at.
 *   Where the tool simply does not exist there is no sign of any, and they are taken not to be. Where it was there and
 *   failed, or something else shows that there are such tables, their rules are unknown.
 */
import type { Namespace } from "../../model/namespace.ts";

/** The shell's and the kernel's words for a program that is not there; the loader's for a file that nobody tried to make. */
const NO_TOOL = /exit 127\b|not found|No such file or directory|was not recorded/;

/** Why the rules of an IP version are not all known; null when they are. */
export function whatIsUnknown(ns: Namespace, v: 4 | 6): string | null {
  const reasons: string[] = [];
  const nft = ns.missing.get("nft");
  if (nft !== undefined) {
    reasons.push(nft);
    const xt = ns.missing.get(v === 4 ? "iptables" : "ip6tables");
    if (xt !== undefined) reasons.push(xt);
  }
  const legacy = ns.missing.get(v === 4 ? "iptables-legacy" : "ip6tables-legacy");
  if (legacy !== undefined && !NO_TOOL.test(legacy)) reasons.push(legacy);
  return reasons.length === 0 ? null : reasons.join("; ");
}
