/** Every check. */
import type { Check } from "./check.ts";
import { affinityDeadBackend } from "./checks/affinity.ts";
import { bgpDown } from "./checks/bgp-down.ts";
import { blockRouteMissing } from "./checks/block-route-missing.ts";
import { bridgeNetfilterOff } from "./checks/bridge-netfilter-off.ts";
import { cniConfigBroken } from "./checks/cni-config-broken.ts";
import { configuration } from "./checks/configuration.ts";
import { conntrackFull } from "./checks/conntrack-full.ts";
import { dnsDown } from "./checks/dns-down.ts";
import { dnsOverload } from "./checks/dns-overload.ts";
import { duplicatePodAddress } from "./checks/duplicate-pod-address.ts";
import { forwardDropped, tunnelFiltered } from "./checks/firewall.ts";
import { forwardingOff } from "./checks/forwarding-off.ts";
import { hairpinOff } from "./checks/hairpin-off.ts";
import { healthCheckPort } from "./checks/health-check-port.ts";
import { hostportWormhole } from "./checks/hostport-wormhole.ts";
import { ingressUnanswered } from "./checks/ingress-unanswered.ts";
import { ipamExhausted } from "./checks/ipam-exhausted.ts";
import { kubeProxyStale } from "./checks/kube-proxy-stale.ts";
import { leakedAddress } from "./checks/leaked-address.ts";
import { markSurvivesTunnel } from "./checks/mark-survives-tunnel.ts";
import { masqueradeTransitAddress } from "./checks/masquerade-transit-address.ts";
import { meshBroken } from "./checks/mesh-broken.ts";
import { mixedIptables } from "./checks/mixed-iptables.ts";
import { mtuTooLarge } from "./checks/mtu-too-large.ts";
import { neighbourTableOverflow } from "./checks/neighbour-table-overflow.ts";
import { nextHopDead } from "./checks/next-hop-dead.ts";
import { noEndpoint } from "./checks/no-endpoint.ts";
import { noLocalEndpoint } from "./checks/no-local-endpoint.ts";
import { nodeAddressWrong } from "./checks/node-address-wrong.ts";
import { nothingListens } from "./checks/nothing-listens.ts";
import { oneWayPolicy } from "./checks/one-way-policy.ts";
import { podGatewaySilent } from "./checks/pod-gateway-silent.ts";
import { podRouteMissing } from "./checks/pod-route-missing.ts";
import { policyBlocks } from "./checks/policy-blocks.ts";
import { poolMismatch } from "./checks/pool-mismatch.ts";
import { rangesOverlap } from "./checks/ranges-overlap.ts";
import { reversePathFiltered } from "./checks/reverse-path-filtered.ts";
import { routeShadowed } from "./checks/route-shadowed.ts";
import { ruleShadows } from "./checks/rule-shadows.ts";
import { snatPorts } from "./checks/snat-ports.ts";
import { staleUdpConntrack } from "./checks/stale-udp-conntrack.ts";
import { tcpTwRecycle } from "./checks/tcp-tw-recycle.ts";
import { tunnelDown } from "./checks/tunnel-down.ts";
import { twoBirds } from "./checks/two-birds.ts";
import { underlayBypassesServices } from "./checks/underlay-bypasses-services.ts";
import { vip } from "./checks/vip.ts";
import { vtepDuplicate } from "./checks/vtep-duplicate.ts";
import { vtepEntries } from "./checks/vtep-entries.ts";
import { vxlanChecksumOffload } from "./checks/vxlan-checksum-offload.ts";

export const CHECKS: readonly Check[] = [
  forwardingOff,
  tcpTwRecycle,
  duplicatePodAddress,
  podGatewaySilent,
  podRouteMissing,
  bridgeNetfilterOff,
  hairpinOff,
  neighbourTableOverflow,
  nodeAddressWrong,
  configuration,
  cniConfigBroken,
  vip,
  underlayBypassesServices,
  rangesOverlap,
  twoBirds,
  poolMismatch,
  ipamExhausted,
  vtepDuplicate,
  bgpDown,
  meshBroken,
  routeShadowed,
  ruleShadows,
  nextHopDead,
  reversePathFiltered,
  tunnelDown,
  vtepEntries,
  blockRouteMissing,
  mtuTooLarge,
  markSurvivesTunnel,
  vxlanChecksumOffload,
  masqueradeTransitAddress,
  mixedIptables,
  forwardDropped,
  tunnelFiltered,
  oneWayPolicy,
  policyBlocks,
  kubeProxyStale,
  hostportWormhole,
  healthCheckPort,
  noEndpoint,
  dnsDown,
  nothingListens,
  noLocalEndpoint,
  leakedAddress,
  conntrackFull,
  snatPorts,
  staleUdpConntrack,
  affinityDeadBackend,
  dnsOverload,
  ingressUnanswered,
];
