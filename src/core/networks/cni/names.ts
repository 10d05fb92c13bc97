/** Names and comments that plugins make of a network and a container. */
import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/** Longest name of an iptables chain that plugins make, in characters. */
const MAX_CHAIN = 28;

/** The first `length` characters of `prefix` and the hexadecimal SHA-512 of `text` (pkg/utils, MustFormatHashWithPrefix). */
export function hashWithPrefix(length: number, prefix: string, text: string): string {
  return `${prefix}${bytesToHex(sha512(utf8ToBytes(text)))}`.slice(0, length);
}

/** Chain of one container: `CNI-` and, for portmap, `DN-`, then a hash of network and container (MustFormatChainNameWithPrefix). */
export function chainName(network: string, containerId: string, prefix = ""): string {
  return hashWithPrefix(MAX_CHAIN, `CNI-${prefix}`, network + containerId);
}

/** A rule's comment as iptables-save quotes it. */
export function quoted(comment: string): string {
  return `"${comment.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** `name: "NETWORK" id: "CONTAINER"` (pkg/utils, FormatComment; Go's %q). */
export function maskComment(network: string, containerId: string): string {
  return `name: ${JSON.stringify(network)} id: ${JSON.stringify(containerId)}`;
}
