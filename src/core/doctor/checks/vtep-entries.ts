/**
 * What a node knows of the other ends of its VXLAN tunnel: behind which MAC the tunnel address of a peer is (neighbour table), and to
 * which machine frames for that MAC go (the device's forwarding table). The devices of flannel and Calico neither learn nor ask: they
 * have what a daemon wrote, and lose what they have no entry for (drivers/net/vxlan/vxlan_core.c, vxlan_xmit).
 */
import { formatIp, type Ip } from "../../model/address.ts";
import { fdbLine, neighbourLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { podNetworks } from "../pod-networks.ts";
import { told } from "../told-vteps.ts";
import { endText, overlays, type TunnelEnd } from "../tunnels.ts";
import type { Evidence } from "../types.ts";

function ownLink(chart: Chart, end: TunnelEnd): Evidence {
  const addresses = end.addresses.map(formatIp).join(" ");
  return chart.evidence(end.link.source, `${endText(end)}${addresses === "" ? "" : ` has ${addresses}`}`);
}

/** Deaths of packets that an end sent by a neighbour entry for `ip`, or that found none. */
function byNeighbour(deaths: readonly Death[], end: TunnelEnd, ip: Ip): Death[] {
  const { place } = end.host;
  const used = `${formatIp(ip)} dev ${end.link.name} `;
  const asked = `${formatIp(ip)} on ${end.link.name}`;
  return deaths.filter(
    (death) =>
      (death.at === place && death.text.includes(asked)) ||
      death.path.some((step) => step.at === place && step.kind === "neighbour" && step.text.startsWith(used)),
  );
}

/** Deaths of packets that an end had no right way for: a MAC without an entry, or with one that leads elsewhere. */
function byMac(deaths: readonly Death[], end: TunnelEnd, mac: string): Death[] {
  const { place } = end.host;
  return deaths.filter(
    (death) =>
      (death.at === place && death.text.includes(`${end.link.name} has no forwarding entry for ${mac}`)) ||
      death.path.some(
        (step) => step.at === place && step.kind === "fdb" && step.text.startsWith(`${mac} dev ${end.link.name} `),
      ),
  );
}

function neighbourOf(chart: Chart, end: TunnelEnd, peer: TunnelEnd, ip: Ip): Suspicion | null {
  const entry = end.neighbours.get(ip.key);
  const { mac } = peer.link;
  const wrong = entry !== undefined && entry.mac !== null && entry.state !== "FAILED" && entry.state !== "INCOMPLETE";
  if (mac === null || (wrong ? entry.mac === mac : end.finds)) return null;
  // What the peer's own Node object says wrongly is the fault there.
  if (wrong && told(chart, peer.host.node).macs.has(entry.mac!)) return null;
  const text = formatIp(ip);
  const node = end.host.node;
  return {
    id: "vtep-neighbour-wrong",
    at: end.host.place,
    summary: wrong
      ? `${node} sends what is for the pods of ${peer.host.node} to ${entry.mac}, which is not the MAC of ${peer.link.name} there (${mac})`
      : `${node} does not know the MAC of ${text}, the tunnel's end on ${peer.host.node}, and has nobody to ask`,
    evidence: [
      wrong
        ? chart.evidence(entry.source, neighbourLine(entry, false))
        : chart.evidence({ file: `${end.host.dir}/neigh.json`, line: 1 }, `no entry for ${text} dev ${end.link.name}`),
      ownLink(chart, peer),
    ],
    remedy: [
      `# on ${node}; its network's daemon writes the entry again when it restarts`,
      `ip neigh replace ${text} dev ${end.link.name} lladdr ${mac} nud permanent`,
    ],
    hurts: hurtsOf(byNeighbour(deathsOf(chart), end, ip)),
    otherwise: "warning",
  };
}

function forwardingOf(chart: Chart, end: TunnelEnd, peer: TunnelEnd): Suspicion | null {
  const { mac } = peer.link;
  if (mac === null) return null;
  const entries = end.fdb.get(mac) ?? [];
  const node = end.host.node;
  const stray = entries.find((each) => each.dst !== null && !peer.hostAddresses.has(each.dst.key));
  if (entries.length > 0 ? stray === undefined : end.finds) return null;
  // What the peer's own Node object says wrongly is the fault there.
  const { macs } = told(chart, peer.host.node);
  if (stray === undefined && macs.size > 0 && !macs.has(mac)) return null;
  if (stray?.dst && told(chart, peer.host.node).addresses.has(formatIp(stray.dst))) return null;
  const to = peer.local === null ? null : formatIp(peer.local);
  return {
    id: "vtep-fdb-missing",
    at: end.host.place,
    summary:
      stray === undefined
        ? `${end.link.name} of ${node} has no forwarding entry for ${mac}, the MAC of ${peer.link.name} on ${peer.host.node}`
        : `${end.link.name} of ${node} sends frames for ${mac}, the MAC of ${peer.link.name} on ${peer.host.node}, to ${formatIp(stray.dst!)}, which is no address of ${peer.host.node}`,
    evidence: [
      stray === undefined
        ? chart.evidence({ file: `${end.host.dir}/fdb.json`, line: 1 }, `no entry for ${mac} dev ${end.link.name}`)
        : chart.evidence(stray.source, fdbLine(stray)),
      ownLink(chart, peer),
    ],
    remedy: [
      `# on ${node}; its network's daemon writes the entry again when it restarts`,
      `bridge fdb replace ${mac} dev ${end.link.name} dst ${to ?? `ADDRESS_OF_${peer.host.node}`} self permanent`,
    ],
    hurts: hurtsOf(byMac(deathsOf(chart), end, mac)),
    otherwise: "warning",
  };
}

/** flannel up to v0.8 has a neighbour for each pod: those that stand for a pod of a peer must have the peer's MAC. */
function podNeighbours(chart: Chart, end: TunnelEnd, byNode: ReadonlyMap<string, TunnelEnd>): Suspicion[] {
  const { pods } = podNetworks(chart);
  return [...end.neighbours.values()].flatMap((entry) => {
    const node = pods.get(entry.ip.key)?.node;
    const peer = node == null || node === end.host.node ? undefined : byNode.get(node);
    if (peer === undefined || entry.mac === null || entry.mac === peer.link.mac) return [];
    return neighbourOf(chart, end, peer, entry.ip) ?? [];
  });
}

function look(chart: Chart): Diagnosis {
  const suspicions: Suspicion[] = [];
  const unknown: Diagnosis["unknown"] = [];
  for (const { ends, byNode } of overlays(chart)) {
    for (const end of ends) {
      if (!end.link.up || ends.length < 2) continue;
      const missing = end.host.missing.get("neigh") ?? end.host.missing.get("fdb");
      if (missing !== undefined) {
        unknown.push({
          id: "vtep-neighbour-wrong",
          at: end.host.place,
          why: `what ${end.link.name} knows of its peers was not recorded: ${missing}`,
        });
        continue;
      }
      const gateways = new Set(
        [...end.host.routes4, ...end.host.routes6]
          .flatMap((route) => route.nexthops)
          .filter((hop) => hop.dev === end.link.name && hop.gateway !== null)
          .map((hop) => hop.gateway!.key),
      );
      for (const peer of ends) {
        const used = peer === end ? undefined : peer.addresses.find((ip) => gateways.has(ip.key));
        if (used === undefined) continue;
        const found = neighbourOf(chart, end, peer, used) ?? forwardingOf(chart, end, peer);
        if (found !== null) suspicions.push(found);
      }
      suspicions.push(...podNeighbours(chart, end, byNode));
    }
  }
  return { suspicions, unknown };
}

export const vtepEntries: Check = { ids: ["vtep-neighbour-wrong", "vtep-fdb-missing"], depth: "overlay", look };
