/** Calico: Felix, BIRD and the CNI plugin. */
import { birdFiles } from "../calico/bird/config.ts";
import { birdInput } from "../calico/bird/input.ts";
import { calico } from "../calico/index.ts";
import { hostDeviceName } from "../calico/names.ts";
import { cni } from "../cni/index.ts";
import { carriersOf, giveCalicoAddresses } from "./calico-addresses.ts";
import { clusterFamilies, POD_NETWORK } from "./fill-in.ts";
import { readMachine } from "./machines.ts";
import { madeObject, type WrittenObject } from "./objects.ts";
import { ownObjects } from "./own-kinds.ts";
import { part, textOf } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedFile } from "./renderer.ts";

/** Modes, and what they make of a pool. */
const MODES: Readonly<Record<string, { vxlanMode: string; ipipMode: string }>> = {
  vxlan: { vxlanMode: "Always", ipipMode: "Never" },
  crosssubnet: { vxlanMode: "CrossSubnet", ipipMode: "Never" },
  ipip: { vxlanMode: "Never", ipipMode: "Always" },
  bgp: { vxlanMode: "Never", ipipMode: "Never" },
};

/** Calico's own manifest. */
const CONFLIST = JSON.stringify({
  name: "k8s-pod-network",
  cniVersion: "0.3.1",
  plugins: [
    { type: "calico", datastore_type: "kubernetes", mtu: 0, ipam: { type: "calico-ipam" }, policy: { type: "k8s" } },
    { type: "portmap", snat: true, capabilities: { portMappings: true } },
  ],
});

/** The pools that calico-node makes when there are none (node/pkg/lifecycle/startup, configureIPPools). */
function usualPools(families: readonly (4 | 6)[]): WrittenObject[] {
  return families.map((family) =>
    madeObject({
      apiVersion: "crd.projectcalico.org/v1",
      kind: "IPPool",
      metadata: { name: `default-ipv${family}-ippool` },
      spec: {
        cidr: POD_NETWORK[family],
        blockSize: family === 4 ? 26 : 122,
        // IPv4 through a tunnel, IPv6 as it is unless a mode says otherwise.
        ...(family === 4 ? MODES["vxlan"] : MODES["bgp"]),
        natOutgoing: family === 4,
        nodeSelector: "all()",
        allowedUses: ["Workload", "Tunnel"],
      },
    }),
  );
}

/** Pools of the objects with what the mode asks for. */
function withMode(objects: readonly WrittenObject[], mode: string | null): void {
  const wanted = mode === null ? undefined : MODES[mode];
  if (wanted === undefined) return;
  for (const { kind, value } of objects) {
    if (kind !== "IPPool") continue;
    const spec = part(value, "spec");
    const isSix = textOf(spec["cidr"]).includes(":");
    // IPIP is of IPv4 alone.
    Object.assign(spec, isSix ? { ...wanted, ipipMode: "Never" } : wanted);
  }
}

/** BIRD's files, where it runs. */
function bird({ site, machine }: OnMachine): RenderedFile[] {
  const backend = machine.command("calico-felix")?.env.get("CALICO_NETWORKING_BACKEND");
  if (backend !== "bird") return [];
  return ([4, 6] as const).flatMap((family) => {
    const input = birdInput(site.cluster, machine.name, family);
    if (input === null || input.node.address[family] === null) return [];
    return [...birdFiles(input)].map(([name, text]) => ({
      at: machine.name,
      path: `/etc/calico/confd/config/${name}`,
      text,
    }));
  });
}

export const calicoRenderer = rendererOf(
  "calico",
  "Calico: tunnels or BGP between nodes, blocks of addresses, policies, BIRD's configuration",
  Object.keys(MODES),
  (written, { mode }) => {
    const families = clusterFamilies(written);
    const hasPool = written.some((each) => each.kind === "IPPool");
    const pooled = hasPool ? [...written] : [...written, ...usualPools(families)];
    withMode(pooled, mode);
    const machines = new Map(
      ownObjects(pooled, "Machine")
        .map(readMachine)
        .map((each) => [each.name, each]),
    );
    const objects = giveCalicoAddresses(pooled, machines);
    const pools = pooled.filter((each) => each.kind === "IPPool").map(({ value }) => part(value, "spec"));
    const isVxlan = (spec: Record<string, unknown>): boolean => !["", "Never"].includes(textOf(spec["vxlanMode"]));
    const env = {
      // The manifest's own words; a cluster of VXLAN alone needs no BIRD.
      CALICO_NETWORKING_BACKEND: pools.every(isVxlan) ? "vxlan" : "bird",
      FELIX_DEFAULTENDPOINTTOHOSTACTION: "ACCEPT",
      FELIX_IPV6SUPPORT: String(families.includes(6)),
      ...(carriersOf(pooled, 4).ipip ? { FELIX_IPINIPENABLED: "true" } : {}),
    };
    return {
      objects,
      started: {
        commands: { "calico-felix": { env } },
        files: { "/etc/cni/net.d/10-calico.conflist": CONFLIST },
        hostDevice: ({ namespace, name }) => hostDeviceName("cali", namespace, name),
      },
      networks: [calico, cni],
      files: bird,
    };
  },
);
