/** What the cluster says of BGP: its number, the mesh, the peers, the Services told to them, and which routes BIRD writes. */
import { parseIp } from "../../model/address.ts";
import type { Machine, Site } from "../site.ts";
import { environment } from "./felix-parameters.ts";
import { list, object, text, whole } from "./ipam/raw.ts";
import { calicoObjects } from "./objects.ts";
import { parseSelector, selects, SelectorError } from "./selector.ts";

/** A BGPPeer. */
export interface Peering {
  /** Nodes that have the peer. */
  from: (node: { name: string; labels: Readonly<Record<string, string>> }) => boolean;
  /** Nodes that are the peer; null when it is at an address. */
  to: ((labels: Readonly<Record<string, string>>) => boolean) | null;
  address: string | null;
  /** Null: the node's own. */
  asNumber: number | null;
  /** How often the own number may stand in a route's path all the same. */
  ownAsAllowed: number;
}

export interface BgpSettings {
  /** Whether BIRD runs. */
  runs: boolean;
  asNumber: number;
  mesh: boolean;
  peerings: Peering[];
  /** Networks of Services, told to peers: Felix drops what comes for them and is no Service's. */
  serviceNetworks: string[];
  /** Which routes to other nodes' blocks BIRD writes, by how pools are carried. */
  routes: { ipip: boolean; plain: boolean };
}

const DEFAULT_AS = 64512;

/** Whether labels are taken; a selector that makes no sense takes none. */
function taker(selector: string): (labels: Readonly<Record<string, string>>) => boolean {
  try {
    const parsed = parseSelector(selector);
    return (labels) => selects(parsed, (name) => (Object.hasOwn(labels, name) ? labels[name] : undefined));
  } catch (error) {
    if (error instanceof SelectorError) return () => false;
    throw error;
  }
}

function peerings(site: Site): Peering[] {
  return calicoObjects(site.cluster, "bgppeers").map(({ spec }): Peering => {
    const node = text(spec["node"]);
    const takes = taker(text(spec["nodeSelector"]) ?? "all()");
    const peerSelector = text(spec["peerSelector"]);
    // `192.0.2.1:179`, `[2001:db8::1]:179`: with a port or without.
    const given = text(spec["peerIP"]) ?? "";
    const plain = parseIp(given) === null ? given.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "") : given;
    return {
      from: (each) => (node === null ? takes(each.labels) : each.name === node),
      to: peerSelector === null ? null : taker(peerSelector),
      address: plain === "" ? null : plain,
      asNumber: whole(spec["asNumber"]) || null,
      ownAsAllowed: whole(spec["numAllowedLocalASNumbers"]) ?? 0,
    };
  });
}

/** Reads BGPConfiguration `default` and the BGPPeers. */
export function bgpSettings(site: Site, machine: Machine): BgpSettings {
  const spec = calicoObjects(site.cluster, "bgpconfigurations").find((each) => each.name === "default")?.spec ?? {};
  const cidrs = (field: string): string[] => list(spec[field]).flatMap((each) => text(object(each)["cidr"]) ?? []);
  const programs = text(spec["programClusterRoutes"]);
  // Since 3.33 Felix writes the routes of IPIP pools by default (design/cluster-routes).
  const all = programs === "Enabled";
  return {
    runs: ["bird", null].includes(environment(machine, "CALICO_NETWORKING_BACKEND")),
    asNumber: whole(spec["asNumber"]) || DEFAULT_AS,
    mesh: spec["nodeToNodeMeshEnabled"] !== false,
    peerings: peerings(site),
    serviceNetworks: [
      ...cidrs("serviceClusterIPs"),
      ...cidrs("serviceExternalIPs"),
      ...cidrs("serviceLoadBalancerIPs"),
    ].toSorted(),
    routes: {
      ipip: all || programs === "EnabledIPIPOnly",
      plain: all || (programs !== "Disabled" && programs !== "EnabledIPIPOnly"),
    },
  };
}
