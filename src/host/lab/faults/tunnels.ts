/** Faults of tunnels between nodes. */
import { internalIp, nodeNames, podsOn } from "../daemons/addresses.ts";
import { LabError, type Lab } from "../parts.ts";
import { claimsAt, commandFault, host, nodeOf, restore, sh, type Options, type ShippedFault } from "./fault.ts";
import { changeObject, restoreObjects } from "./objects.ts";

const PUBLIC_IP = "flannel.alpha.coreos.com/public-ip";

interface Tunnel {
  node: string;
  peer: string;
  dev: string;
  /** The peer's end: its address in the tunnel and its MAC address. */
  ip: string;
  mac: string;
  publicIp: string;
}

/** The tunnel of a node, as its own tables lead to a peer. */
function tunnel(lab: Lab, options: Options): Tunnel {
  const node = nodeOf(lab, options, 1);
  const peer = nodeOf(lab, options, 2, "peer");
  const publicIp = internalIp(lab, peer) ?? "";
  const fdb = claimsAt(lab, host(node), "fdb").find(({ state }) => state.dst === publicIp)?.state;
  const neighbour = claimsAt(lab, host(node), "neighbour").find(({ state }) => state.mac === fdb?.mac)?.state;
  if (fdb === undefined || neighbour === undefined)
    throw new LabError(`${node} has no tunnel to ${peer}: this fault needs flannel's or Calico's VXLAN`);
  return { node, peer, dev: fdb.dev, ip: neighbour.ip, mac: fdb.mac, publicIp };
}

/** The VXLAN device of a node. */
function tunnelDevice(lab: Lab, node: string): string {
  const found = claimsAt(lab, host(node), "link").find(({ state }) => state.type === "vxlan");
  if (found === undefined) throw new LabError(`${node} has no VXLAN device`);
  return found.state.name;
}

export const vtepNeighbourWrong = commandFault(
  {
    id: "vtep-neighbour-wrong",
    summary: "a node has an old MAC address for a peer's tunnel end",
    scenario: "shop",
  },
  (lab, options) => {
    const { node, dev, ip, mac } = tunnel(lab, options);
    const entry = (to: string): string => `ip neigh replace ${ip} dev ${dev} lladdr ${to} nud permanent`;
    return { at: host(node), breaks: [entry("02:00:de:ad:be:ef")], mends: [entry(mac)] };
  },
);

export const vtepFdbMissing = commandFault(
  {
    id: "vtep-fdb-missing",
    summary: "a node has no forwarding entry for a peer's tunnel end",
    scenario: "shop",
  },
  (lab, options) => {
    const { node, dev, mac, publicIp } = tunnel(lab, options);
    const entry = `${mac} dev ${dev} dst ${publicIp} self`;
    return { at: host(node), breaks: [`bridge fdb del ${entry}`], mends: [`bridge fdb replace ${entry} permanent`] };
  },
);

export const tunnelDown: ShippedFault = {
  id: "tunnel-down",
  summary: "a node's tunnel device is down, and its routes with it",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 3);
    await sh(lab, host(node), `ip link set ${tunnelDevice(lab, node)} down`);
  },
  async mendIt(lab, options) {
    const node = nodeOf(lab, options, 3);
    const dev = tunnelDevice(lab, node);
    await sh(lab, host(node), `ip link set ${dev} up`);
    const at = host(node);
    await restore(lab, [
      ...claimsAt(lab, at, "route").filter(({ state }) => state.ways.some((way) => way.dev === dev)),
      ...claimsAt(lab, at, "neighbour").filter(({ state }) => state.dev === dev),
      ...claimsAt(lab, at, "fdb").filter(({ state }) => state.dev === dev),
    ]);
  },
};

export const tunnelFiltered = commandFault(
  { id: "tunnel-filtered", summary: "a host firewall drops the tunnel's packets", scenario: "shop" },
  (lab, options) => {
    const rules = (verb: string): string[] =>
      [8472, 4789].map((port) => `iptables ${verb} INPUT -p udp --dport ${port} -j DROP`);
    return { at: host(nodeOf(lab, options, 3)), breaks: rules("-I"), mends: rules("-D") };
  },
);

/** Every pod of a node gets an MTU; what the tunnel cannot carry is not told back, as where ICMP is filtered. */
async function setMtu(lab: Lab, node: string, mtu: number | null, filter: string): Promise<void> {
  await sh(lab, host(node), `iptables ${filter} OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP`);
  for (const { place } of podsOn(lab, node)) {
    const own = claimsAt(lab, place, "link").find(({ state }) => state.name === "eth0")?.state.mtu ?? 1450;
    await sh(lab, place, `ip link set eth0 mtu ${mtu ?? own}`);
  }
}

export const mtuTooLarge: ShippedFault = {
  id: "mtu-too-large",
  summary: "pods use 1500 bytes although the tunnel carries 1450, and ICMP that would say so is filtered",
  scenario: "shop",
  breakIt: (lab, options) => setMtu(lab, nodeOf(lab, options, 1), 1500, "-I"),
  mendIt: (lab, options) => setMtu(lab, nodeOf(lab, options, 1), null, "-D"),
};

export const vtepDuplicate: ShippedFault = {
  id: "vtep-duplicate",
  summary: "a node claims another node's public address",
  scenario: "shop",
  async breakIt(lab, options) {
    const [node, peer] = [nodeOf(lab, options, 3), nodeOf(lab, options, 2, "peer")];
    const ip = internalIp(lab, peer);
    changeObject(lab, this.id, { kind: "Node", namespace: "", name: node }, (value) => {
      const { annotations } = value["metadata"] as { annotations: Record<string, unknown> };
      annotations[PUBLIC_IP] = ip;
    });
  },
  async mendIt(lab) {
    restoreObjects(lab, this.id);
  },
};

export const markSurvivesTunnel = commandFault(
  {
    id: "mark-survives-tunnel",
    summary: "kube-proxy's mark stays on masqueraded packets, so that the tunnel's own packets are masqueraded, too",
    scenario: "shop",
  },
  (lab, options) => ({
    at: host(nodeOf(lab, options, 1)),
    breaks: ["iptables -t nat -D KUBE-POSTROUTING -j MARK --xor-mark 0x4000"],
    mends: ["iptables -t nat -I KUBE-POSTROUTING 2 -j MARK --xor-mark 0x4000"],
  }),
);

/** Python: sends UDP datagrams whose checksum is wrong, as hardware leaves them that does not follow NAT of the outer packet. */
const WRONG_CHECKSUMS = `import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for i in range(60):
    s.sendto(struct.pack("!HHHH", 40000 + i, 8472, 16, 0xbad) + bytes(8), (sys.argv[1], 0))
`;

/** Whether the tunnel devices of all nodes leave checksums to hardware. */
async function offload(lab: Lab, state: "on" | "off"): Promise<void> {
  for (const node of nodeNames(lab))
    await sh(lab, host(node), `ethtool -K ${tunnelDevice(lab, node)} tx-checksum-ip-generic ${state}`);
}

export const vxlanChecksumOffload: ShippedFault = {
  id: "vxlan-checksum-offload",
  summary: "packets of the tunnel arrive with wrong checksums, while a device leaves these to hardware",
  scenario: "shop",
  async breakIt(lab, options) {
    const [node, peer] = [nodeOf(lab, options, 1), nodeOf(lab, options, 2, "peer")];
    const argv = ["python3", "-c", WRONG_CHECKSUMS, internalIp(lab, peer) ?? ""];
    await lab.must([{ at: host(node), argv }]);
    await offload(lab, "off");
    await sh(lab, host(node), `ethtool -K ${tunnelDevice(lab, node)} tx-checksum-ip-generic on`);
  },
  // Counters only grow: what counts is that nobody sends such packets any more.
  mendIt: (lab) => offload(lab, "off"),
};
