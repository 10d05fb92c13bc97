/** FRR's configuration on a node, as MetalLB's speaker writes it (internal/bgp/frr/templates, config.go). */
import type { Cluster } from "../../model/cluster.ts";
import { bgpAnnouncements, speakerNodes, type BgpAnnouncement } from "./announce.ts";
import { neighbourFilters, neighbourId } from "./frr-filters.ts";
import { bgpPeers, type BgpPeer } from "./objects.ts";

/** Sessions that share a router: own number, router id and VRF. */
interface Router {
  myAs: number;
  routerId: string | null;
  vrf: string;
  neighbours: { peer: BgpPeer; heard: BgpAnnouncement[] }[];
}

const isSix = (address: string): boolean => address.includes(":");
const byText = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0);

/** One announcement a prefix: what several Services announce alike is said once. */
function heardBy(peer: BgpPeer, all: readonly BgpAnnouncement[]): BgpAnnouncement[] {
  const mine = all.filter(({ peers }) => peers.includes(peer.name));
  const unique = new Map(mine.map((each) => [`${each.prefix} ${each.localPref} ${each.communities.join()}`, each]));
  return [...unique.values()].toSorted((x, y) => byText(x.prefix, y.prefix));
}

function routersOf(peers: readonly BgpPeer[], announced: readonly BgpAnnouncement[]): Router[] {
  const routers = new Map<string, Router>();
  for (const peer of peers) {
    const key = `${peer.myAs}@${peer.routerId ?? "<nil>"}@${peer.vrf}`;
    const router = routers.get(key) ?? { myAs: peer.myAs, routerId: peer.routerId, vrf: peer.vrf, neighbours: [] };
    router.neighbours.push({ peer, heard: heardBy(peer, announced) });
    routers.set(key, router);
  }
  const name = ({ peer }: Router["neighbours"][number]): string => `${peer.as}@${peer.address}@${peer.vrf}`;
  for (const router of routers.values()) router.neighbours.sort((x, y) => byText(name(x), name(y)));
  return [...routers].toSorted(([x], [y]) => byText(x, y)).map(([, router]) => router);
}

function session(peer: BgpPeer): string[] {
  const { address } = peer;
  const external = peer.as === "external" || (peer.as !== "internal" && peer.as !== String(peer.myAs));
  const timers = peer.hold !== null && peer.keepalive !== null;
  return [
    `  neighbor ${address} remote-as ${peer.as}`,
    ...(peer.multihop ? [`  neighbor ${address} ebgp-multihop`] : []),
    `  neighbor ${address} port ${peer.port}`,
    ...(timers ? [`  neighbor ${address} timers ${peer.keepalive} ${peer.hold}`] : []),
    ...(peer.connect === null ? [] : [`  neighbor ${address} timers connect ${peer.connect}`]),
    // The password itself is a secret, which no snapshot holds.
    ...(peer.password === null ? [] : [`  neighbor ${address} password of-secret-${peer.password}`]),
    ...(peer.source === null ? [] : [`  neighbor ${address} update-source ${peer.source}`]),
    ...(peer.gracefulRestart ? [`  neighbor ${address} graceful-restart`] : []),
    ...(peer.bfd === null ? [] : [`  neighbor ${address} bfd`, `  neighbor ${address} bfd profile ${peer.bfd}`]),
    ...(isSix(address) && !peer.multihop && external ? [`  neighbor ${address} disable-connected-check`] : []),
  ];
}

function families(peer: BgpPeer): string[] {
  const own = isSix(peer.address) ? "ipv6" : "ipv4";
  const active = peer.dualStack ? ["ipv4", "ipv6"] : [own];
  return active.flatMap((family) => [
    `  address-family ${family} unicast`,
    `    neighbor ${peer.address} activate`,
    `    neighbor ${peer.address} route-map ${neighbourId(peer)}-in in`,
    `    neighbor ${peer.address} route-map ${neighbourId(peer)}-out out`,
    "  exit-address-family",
  ]);
}

function networks(router: Router, six: boolean): string[] {
  const prefixes = router.neighbours.flatMap(({ heard }) => heard.map(({ prefix }) => prefix));
  const mine = [...new Set(prefixes)].filter((prefix) => isSix(prefix) === six).toSorted();
  if (mine.length === 0) return [];
  const lines = mine.map((prefix) => `    network ${prefix}`);
  return [`  address-family ipv${six ? 6 : 4} unicast`, ...lines, "  exit-address-family"];
}

/** FRR's configuration on a node; null where MetalLB has no BGP peer. Blank lines are left out: FRR reads none of them. */
export function frrConfig(cluster: Cluster, node: string): string | null {
  const speaker = speakerNodes(cluster).find(({ name }) => name === node);
  const peers = speaker === undefined ? [] : bgpPeers(cluster).filter((peer) => peer.node(speaker.labels));
  if (peers.length === 0) return null;
  const announced = bgpAnnouncements(cluster).filter((each) => each.node === node);
  const routers = routersOf(peers, announced);
  const lines = [
    "log file /etc/frr/frr.log informational",
    "log timestamp precision 3",
    `hostname ${node}`,
    "ip nht resolve-via-default",
    "ipv6 nht resolve-via-default",
    ...routers.flatMap(({ neighbours }) => neighbours.flatMap(({ peer, heard }) => neighbourFilters(peer, heard))),
    ...routers.flatMap((router) => [
      `router bgp ${router.myAs}${router.vrf === "" ? "" : ` vrf ${router.vrf}`}`,
      "  no bgp ebgp-requires-policy",
      "  no bgp network import-check",
      "  no bgp default ipv4-unicast",
      "  bgp graceful-restart preserve-fw-state",
      ...(router.routerId === null ? [] : [`  bgp router-id ${router.routerId}`]),
      ...router.neighbours.flatMap(({ peer }) => session(peer)),
      ...router.neighbours.flatMap(({ peer }) => families(peer)),
      ...networks(router, false),
      ...networks(router, true),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}
