/** Names of chains: a hash of what they serve (pkg/proxy/iptables/proxier.go, portProtoHash and servicePortEndpointChainName). */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { oncePer } from "../../once.ts";
import type { ProxyEndpoint, SharedServicePort } from "../service-ports.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 16 letters of the base32 (RFC 4648) of a text's SHA-256: chain names have 28 letters at most. */
export function shortHash(text: string): string {
  const bytes = sha256(utf8ToBytes(text));
  let letters = "";
  let bits = 0;
  let held = 0;
  for (let at = 0; letters.length < 16; at++) {
    held = ((held << 8) | (bytes[at] ?? 0)) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) letters += ALPHABET[(held >>> (bits - 5)) & 31];
  }
  return letters.slice(0, 16);
}

export interface ServiceChains {
  /** Endpoints of traffic policy Cluster. */
  cluster: string;
  /** Endpoints of traffic policy Local. */
  local: string;
  /** What arrives for an address of outside. */
  external: string;
  /** Source ranges of a load balancer. */
  firewall: string;
}

/** Names of a Service port's chains, which are the same on every node. */
export const serviceChains = oncePer((port: SharedServicePort): ServiceChains => {
  const hash = shortHash(port.name + port.protocol.toLowerCase());
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
});

/** Pure memo: every node names the chain of an endpoint alike. */
const endpoints = new WeakMap<ProxyEndpoint, string>();

/** Name of the chain that sends to one endpoint of a Service port. */
export function endpointChain(port: SharedServicePort, endpoint: ProxyEndpoint): string {
  let chain = endpoints.get(endpoint);
  if (chain === undefined) {
    chain = `KUBE-SEP-${shortHash(port.name + port.protocol.toLowerCase() + endpoint.text)}`;
    endpoints.set(endpoint, chain);
  }
  return chain;
}
