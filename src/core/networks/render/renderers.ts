/** Every network that `kubewalk render` knows, and how its program runs on a node when no object tells. */
import type { Node } from "../../model/cluster.ts";
import { cni } from "../cni/index.ts";
import { flannel } from "../flannel/index.ts";
import { kubeProxy } from "../kube-proxy/index.ts";
import type { WrittenObject } from "./objects.ts";
import { rendererOf, type Renderer, type RenderOptions } from "./renderer.ts";
import { sha1Mac } from "./site.ts";

const KUBE_PROXY = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  clusterCIDR: "10.244.0.0/16",
};

const NETWORK = "10.244.0.0/16";

/** flannel's own manifest, kube-flannel.yml. */
function flannelFiles(mode: string): Record<string, string> {
  const cni = {
    name: "cbr0",
    cniVersion: "0.3.1",
    plugins: [
      { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
  const net = { Network: NETWORK, Backend: { Type: mode } };
  return {
    "/etc/cni/net.d/10-flannel.conflist": JSON.stringify(cni),
    "/etc/kube-flannel/net-conf.json": JSON.stringify(net),
  };
}

/** What flanneld leaves for its CNI plugin (pkg/subnet, WriteSubnetFile). */
const subnetFile =
  (mode: string) =>
  (node: Node): Record<string, string> => {
    const cidr = node.podCIDRs.find((each) => !each.includes(":"));
    const [, net, len] = /^(\d+\.\d+\.\d+\.)\d+\/(\d+)$/.exec(cidr ?? "") ?? [];
    if (net === undefined || len === undefined) return {};
    const lines = [
      `FLANNEL_NETWORK=${NETWORK}`,
      `FLANNEL_SUBNET=${net}1/${len}`,
      `FLANNEL_MTU=${mode === "vxlan" ? 1450 : 1500}`,
      "FLANNEL_IPMASQ=true",
      "",
    ];
    return { "/run/flannel/subnet.env": lines.join("\n") };
  };

/** What flanneld itself writes on its node when it has its lease (pkg/subnet/kube, AcquireLease). */
function annotateForFlannel(objects: readonly WrittenObject[], mode: string): void {
  const prefix = "flannel.alpha.coreos.com/";
  for (const node of objects) {
    if (node.kind !== "Node") continue;
    const metadata = (node.value["metadata"] ?? {}) as Record<string, unknown>;
    const annotations = (metadata["annotations"] ?? {}) as Record<string, string>;
    const status = (node.value["status"] ?? {}) as { addresses?: { type?: string; address?: string }[] };
    const address = status.addresses?.find((each) => each.type === "InternalIP")?.address;
    annotations[`${prefix}kube-subnet-manager`] ??= "true";
    annotations[`${prefix}backend-type`] ??= mode;
    if (address !== undefined) annotations[`${prefix}public-ip`] ??= address;
    annotations[`${prefix}backend-data`] ??=
      mode === "vxlan" ? JSON.stringify({ VNI: 1, VtepMAC: sha1Mac(`${node.name} flannel.1`) }) : "null";
    metadata["annotations"] = annotations;
    node.value["metadata"] = metadata;
  }
}

const BRIDGE = JSON.stringify({
  name: "mynet",
  cniVersion: "1.0.0",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: "host-local", ranges: [[{ subnet: NETWORK }]] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});

export const RENDERERS: readonly Renderer[] = [
  rendererOf(
    "kube-proxy",
    "Services, as kube-proxy's three modes program them",
    [kubeProxy],
    ({ mode }: RenderOptions) => ({
      commands: { "kube-proxy": { words: ["--config", "/var/lib/kube-proxy/config.conf"] } },
      files: { "kube-proxy.yaml": JSON.stringify(mode === null ? KUBE_PROXY : { ...KUBE_PROXY, mode }) },
    }),
    ["iptables", "nftables", "ipvs"],
  ),
  rendererOf(
    "flannel",
    "flannel's tunnels or routes, its masquerading, and the bridge that pods hang on",
    [flannel, cni],
    ({ mode }, objects) => {
      const backend = mode ?? "vxlan";
      annotateForFlannel(objects, backend);
      const words = ["--ip-masq", "--kube-subnet-mgr"];
      return { commands: { flanneld: { words } }, files: flannelFiles(backend), filesOf: subnetFile(backend) };
    },
    ["vxlan", "host-gw"],
  ),
  rendererOf("cni", "CNI plugins of a conflist: bridge, portmap, ptp, macvlan, ipvlan", [cni], () => ({
    commands: {},
    files: { "/etc/cni/net.d/10-mynet.conflist": BRIDGE },
  })),
];
