/** flannel, today's and that of its first years. */
import { formatIp, inPrefix, parseIp } from "../../model/address.ts";
import type { Node } from "../../model/cluster.ts";
import { cni } from "../cni/index.ts";
import { flannel } from "../flannel/index.ts";
import { flannelSettings } from "../flannel/settings.ts";
import { vxlanName } from "../flannel/vxlan-device.ts";
import { clusterFamilies, internalIps, POD_NETWORK } from "./fill-in.ts";
import { sha1Mac, type Described } from "./machines.ts";
import { madeObject, type WrittenObject } from "./objects.ts";
import { isRecord, part, textOf, type Fields } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedNote } from "./renderer.ts";

const ANNOTATION = "flannel.alpha.coreos.com/";

/** What a mode means: the backend's settings, and the version when it is not today's. */
const MODES: Readonly<Record<string, { backend: Fields; nftables?: boolean; version?: string }>> = {
  vxlan: { backend: { Type: "vxlan" } },
  "host-gw": { backend: { Type: "host-gw" } },
  directrouting: { backend: { Type: "vxlan", DirectRouting: true } },
  nftables: { backend: { Type: "vxlan" }, nftables: true },
  // The last versions that filled the tunnel's tables so.
  "l3-miss": { backend: { Type: "vxlan" }, version: "v0.6.2" },
  "l2-miss": { backend: { Type: "vxlan" }, version: "v0.1.0" },
};

/** flannel's own manifest, kube-flannel.yml. */
const CONFLIST = JSON.stringify({
  name: "cbr0",
  cniVersion: "0.3.1",
  plugins: [
    { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});

/** net-conf.json of the objects, else that of the manifest; with what the mode asks for. */
function netConf(objects: readonly WrittenObject[], mode: string | null): Fields {
  const map = objects.find((each) => each.kind === "ConfigMap" && each.name === "kube-flannel-cfg");
  const data = map === undefined ? {} : part(map.value, "data");
  let conf: unknown = null;
  try {
    conf = JSON.parse(textOf(data["net-conf.json"]));
  } catch {
    // Left as it stands: the network itself says what is wrong with it.
  }
  const families = clusterFamilies(objects);
  const usual: Fields = {
    ...(families.includes(4) ? { Network: POD_NETWORK[4] } : { EnableIPv4: false }),
    ...(families.includes(6) ? { EnableIPv6: true, IPv6Network: POD_NETWORK[6] } : {}),
    Backend: { Type: "vxlan" },
  };
  const written = isRecord(conf) ? conf : null;
  const wanted = mode === null ? undefined : MODES[mode];
  const out = written ?? usual;
  if (wanted !== undefined) out["Backend"] = { ...part(out, "Backend"), DirectRouting: false, ...wanted.backend };
  if (wanted?.nftables === true) out["EnableNFTables"] = true;
  if (map !== undefined && written !== null) data["net-conf.json"] = JSON.stringify(out);
  return out;
}

/** What flanneld itself writes on its node when it has its lease (pkg/subnet/kube, AcquireLease). */
function annotate(node: WrittenObject, conf: Fields): void {
  const annotations = part(part(node.value, "metadata"), "annotations");
  const backend = part(conf, "Backend");
  const type = textOf(backend["Type"]) || "udp";
  const set = (name: string, value: string): void => void (annotations[ANNOTATION + name] ??= value);
  set("kube-subnet-manager", "true");
  set("backend-type", type);
  const vni = typeof backend["VNI"] === "number" ? backend["VNI"] : 1;
  for (const family of [4, 6] as const) {
    const ip = internalIps(node).find((each) => each.includes(":") === (family === 6));
    if (ip === undefined) continue;
    const device = `${node.name} flannel${family === 6 ? "-v6" : ""}.${vni}`;
    set(family === 4 ? "public-ip" : "public-ipv6", ip);
    const data = type === "vxlan" ? JSON.stringify({ VNI: vni, VtepMAC: sha1Mac(device) }) : "null";
    set(family === 4 ? "backend-data" : "backend-v6-data", data);
  }
}

/** What flanneld leaves for its CNI plugin (pkg/subnet, WriteSubnetFile): the node's networks with the bridge's address. */
function subnetEnv(conf: Fields, node: Node, { devices }: Described): string {
  const type = textOf(part(conf, "Backend")["Type"]);
  const line = (family: 4 | 6): string[] => {
    const cidr = node.podCIDRs.find((each) => each.includes(":") === (family === 6));
    const network = textOf(conf[family === 6 ? "IPv6Network" : "Network"]);
    if (cidr === undefined || network === "") return [];
    const [address = "", length = ""] = cidr.split("/");
    const first = family === 6 ? `${address}1` : address.replace(/\d+$/, (last) => String(Number(last) + 1));
    const prefix = family === 6 ? "FLANNEL_IPV6_" : "FLANNEL_";
    return [`${prefix}NETWORK=${network}`, `${prefix}SUBNET=${first}/${length}`];
  };
  const mtu = (devices[0]?.mtu ?? 1500) - (type === "vxlan" ? 50 : 0);
  return [...line(4), ...line(6), `FLANNEL_MTU=${mtu}`, "FLANNEL_IPMASQ=true", ""].join("\n");
}

/** What the versions that waited for the kernel's questions answer to them: one line for each pod elsewhere. */
function answers({ site, machine }: OnMachine): RenderedNote[] {
  const settings = flannelSettings(site, machine);
  if (settings === null || settings.generation === "static") return [];
  const lines = settings.families.flatMap((family) =>
    family.peers.flatMap(({ node, lease }) => {
      const pods = site.cluster.pods.filter((pod) => pod.node === node).flatMap((pod) => pod.ips);
      const dev = vxlanName(family);
      const mac = lease.vtepMac ?? "";
      return pods
        .map(parseIp)
        .filter((ip) => ip !== null && inPrefix(ip, lease.subnet))
        .flatMap((ip) => [
          `ip neigh replace ${ip === null ? "" : formatIp(ip)} lladdr ${mac} dev ${dev} nud reachable`,
          ...(settings.generation === "l2-miss"
            ? [`bridge fdb append ${mac} dst ${lease.publicIP} dev ${dev} self`]
            : []),
        ]);
    }),
  );
  return lines.length === 0 ? [] : [{ at: machine.place, title: "what flanneld answers when the kernel asks", lines }];
}

export const flannelRenderer = rendererOf(
  "flannel",
  "flannel's tunnels or routes, its masquerading, and the bridge that pods hang on",
  Object.keys(MODES),
  (objects, { mode }) => {
    const conf = netConf(objects, mode);
    for (const node of objects) if (node.kind === "Node") annotate(node, conf);
    const version = mode === null ? undefined : MODES[mode]?.version;
    const daemon = madeObject({
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { namespace: "kube-flannel", name: "kube-flannel-ds" },
      spec: { template: { spec: { containers: [{ image: `quay.io/coreos/flannel:${version ?? ""}` }] } } },
    });
    const others = objects.filter((each) => version === undefined || each.kind !== "DaemonSet");
    return {
      objects: version === undefined ? others : [...others, daemon],
      started: {
        commands: { flanneld: { words: ["--ip-masq", "--kube-subnet-mgr"] } },
        files: {
          "/etc/cni/net.d/10-flannel.conflist": CONFLIST,
          "/etc/kube-flannel/net-conf.json": JSON.stringify(conf),
        },
        filesOf: (node, described) => ({ "/run/flannel/subnet.env": subnetEnv(conf, node, described) }),
      },
      networks: [flannel, cni],
      notes: answers,
    };
  },
);
