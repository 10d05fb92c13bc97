/** Names of chains: a hash of what they serve (pkg/proxy/iptables/proxier.go, portProtoHash and servicePortEndpointChainName). */
import { sha256 } from "@noble/hashes/sha2.js";
import type { ProxyEndpoint, SharedServicePort } from "../service-ports.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ENCODER = new TextEncoder();

/** The first 16 letters of the base32 (RFC 4648) of a text's SHA-256: chain names have 28 letters at most. */
export function shortHash(text: string): string {
  const bytes = sha256(ENCODER.encode(text));
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

/** Pure memos: every node names the chains of a Service port and of an endpoint alike. */
const services = new WeakMap<SharedServicePort, ServiceChains>();
const endpoints = new WeakMap<ProxyEndpoint, string>();

/** Names of a Service port's chains. */
export function serviceChains(port: SharedServicePort): ServiceChains {
  let chains = services.get(port);
  if (chains === undefined) {
    const hash = shortHash(port.name + port.protocol.toLowerCase());
    chains = {
      cluster: `KUBE-SVC-${hash}`,
      local: `KUBE-SVL-${hash}`,
      external: `KUBE-EXT-${hash}`,
      firewall: `KUBE-FW-${hash}`,
    };
    services.set(port, chains);
  }
  return chains;
}

/** Name of the chain that sends to one endpoint of a Service port. */
export function endpointChain(port: SharedServicePort, endpoint: ProxyEndpoint): string {
  let chain = endpoints.get(endpoint);
  if (chain === undefined) {
    chain = `KUBE-SEP-${shortHash(port.name + port.protocol.toLowerCase() + endpoint.text)}`;
    endpoints.set(endpoint, chain);
  }
  return chain;
}
