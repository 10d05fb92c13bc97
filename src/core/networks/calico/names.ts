/** How Felix and the CNI plugin name devices, chains and sets: by what they stand for, and by its hash where that is too long. */
import { sha1 } from "@noble/hashes/legacy.js";
import { sha224, sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** First `length` hex digits of the text's SHA-1. */
function sha1Hex(text: string, length: number): string {
  return bytesToHex(sha1(utf8ToBytes(text))).slice(0, length);
}

/** Name of a pod's device on its host, `cali` and eleven hex digits (conversion/workload_endpoint_default.go, VethNameForWorkload). */
export function hostDeviceName(prefix: string, namespace: string, pod: string): string {
  return prefix + sha1Hex(`${namespace}.${pod}`, 11);
}

/** MAC address of a node's VXLAN device: "f" and five bytes of the SHA-1 of its name (felix/calc/vxlan_resolver.go, vtepMACForHost). */
export function vtepMac(node: string, family: 4 | 6): string {
  const hex = sha1Hex(family === 4 ? node : `${node}-v6`, 10);
  return `66:${hex.match(/../g)?.join(":") ?? ""}`;
}

/** `PREFIX:HASH` of what a set holds (libcalico-go/lib/hash, MakeUniqueID). */
export function uniqueId(prefix: string, content: string): string {
  return `${prefix}:${base64url(sha224(utf8ToBytes(`${prefix}:${content}`)))}`;
}

/** `prefix` and `suffix`, or a hash of `suffix` when both together are longer than `max` (libcalico-go/lib/hash, GetLengthLimitedID). */
export function limitedId(prefix: string, suffix: string, max: number): string {
  const whole = prefix + suffix;
  if (whole.length < max || (whole.length === max && !suffix.startsWith("_"))) return whole;
  return `${prefix}_${base64url(sha256(utf8ToBytes(suffix)))}`.slice(0, max);
}

/** Longest name of a chain (felix/iptables, MaxChainNameLength). */
const MAX_CHAIN = 28;
/** Longest name of a set (felix/ipsets, MaxIPSetNameLength). */
const MAX_SET = 31;

/** Name of a chain that stands for one thing: an endpoint's device, a policy, a profile. */
export function chainName(prefix: string, of: string): string {
  return limitedId(prefix, of, MAX_CHAIN);
}

/** Name of a set by its id, `cali40s:…` (felix/ipsets/ipset_defs.go, NameForMainIPSet). */
export function setName(family: 4 | 6, id: string): string {
  return `cali${family}0${id}`.slice(0, MAX_SET);
}

/** The hash of a group of policies with `length` characters (felix/rules/endpoints.go, PolicyGroup.UniqueID); `digest` is its SHA3-224. */
export function groupId(digest: Uint8Array, length: number): string {
  return base64url(digest).slice(0, length);
}

/** The hash of each rule of a chain, by which Felix knows its own again: of the chain's name and all rules up to it (felix/generictables, RuleHashes). */
export function ruleHashes(chain: string, rules: readonly string[]): string[] {
  let hash = sha224(utf8ToBytes(chain));
  return rules.map((rule) => {
    hash = sha224(new Uint8Array([...hash, ...utf8ToBytes(rule)]));
    return base64url(hash).slice(0, 16);
  });
}
