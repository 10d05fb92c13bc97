/** What nodes tell the others of their tunnel's end, by annotations of their Node objects. */
import { formatIp, parseIp } from "../model/address.ts";
import { leaseOf } from "../networks/flannel/lease.ts";
import { flannelOptions } from "../networks/flannel/options.ts";
import { IntentError } from "../networks/network.ts";
import type { Chart } from "./chart.ts";

export interface Told {
  /** Outer addresses that the others send to. */
  addresses: ReadonlySet<string>;
  /** MACs of the tunnel devices. */
  macs: ReadonlySet<string>;
  /** Addresses of the tunnel devices themselves. */
  tunnels: ReadonlySet<string>;
}

const NOTHING: Told = { addresses: new Set(), macs: new Set(), tunnels: new Set() };

/** Calico's annotations (libcalico-go/lib/backend/k8s/resources, node.go). */
const CALICO_MACS = ["projectcalico.org/VXLANTunnelMACAddr", "projectcalico.org/VXLANTunnelMACAddrV6"];
const CALICO_TUNNELS = [
  "projectcalico.org/IPv4IPIPTunnelAddr",
  "projectcalico.org/IPv4VXLANTunnelAddr",
  "projectcalico.org/IPv6VXLANTunnelAddr",
];
const CALICO_ADDRESSES = ["projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address"];

function normal(text: string | undefined): string[] {
  const ip = parseIp((text ?? "").split("/", 1)[0]!);
  return ip === null ? [] : [formatIp(ip)];
}

function annotated(chart: Chart): Map<string, Told> {
  const found = new Map<string, Told>();
  for (const machine of chart.nodes) {
    const { node } = machine;
    if (node === null) continue;
    const addresses = new Set<string>();
    const macs = new Set<string>();
    try {
      const lease = leaseOf(node, flannelOptions(machine.command("flanneld")).annotationPrefix);
      for (const family of [lease?.v4, lease?.v6]) {
        if (!family) continue;
        addresses.add(family.publicIP);
        if (family.vtepMac !== null) macs.add(family.vtepMac);
      }
    } catch (error) {
      // Annotations that make no sense tell nobody anything.
      if (!(error instanceof IntentError)) throw error;
    }
    for (const name of CALICO_ADDRESSES) for (const each of normal(node.annotations[name])) addresses.add(each);
    for (const name of CALICO_MACS)
      if (node.annotations[name] !== undefined) macs.add(node.annotations[name].toLowerCase());
    const tunnels = new Set(CALICO_TUNNELS.flatMap((name) => normal(node.annotations[name])));
    found.set(node.name, { addresses, macs, tunnels });
  }
  return found;
}

const made = new WeakMap<Chart, Map<string, Told>>();

/** What a node's object tells of its end. */
export function told(chart: Chart, node: string): Told {
  let all = made.get(chart);
  if (all === undefined) made.set(chart, (all = annotated(chart)));
  return all.get(node) ?? NOTHING;
}
