/**
 * flannel's daemon of its first years: it hears what the kernel cannot find (`l2miss`, `l3miss` of the tunnel's device) and answers with the
 * tunnel end of the pod (flannel v0.1, v0.2–v0.8: backend/vxlan, handleL2Miss, handleL3Miss). Here it is a shell script by `ip monitor`.
 */
import { LabError, type Lab, type LabDaemon } from "../parts.ts";
import { nodeNames, podAddresses } from "./addresses.ts";
import { prime, unknownNeighbour } from "./prime.ts";
import { until } from "./wait.ts";

const PATIENCE = 10;

/** Peers of a node, as `flannelPeers` finds them. */
interface Peer {
  /** Node's pod network without its last part: `10.244.1.`. */
  prefix: string;
  mac: string;
  publicIp: string;
}

/** The script of one node. A line of `ip monitor neigh dev DEV` is `miss 10.244.1.3 INCOMPLETE` or `miss lladdr MAC STALE`. */
function script({ dev, peers, asksForFdb }: Tunnel): string {
  const byPod = peers.map(({ prefix, mac, publicIp }) => `    ${prefix}*) mac=${mac} to=${publicIp} ;;`);
  const byMac = peers.map(({ mac, publicIp }) => `    ${mac}) to=${publicIp} ;;`);
  return [
    "set -u",
    "pod() {",
    '  case "$1" in',
    ...byPod,
    "    *) return ;;",
    "  esac",
    `  ip neigh replace "$1" lladdr "$mac" dev ${dev} nud reachable`,
    // Of the first generation, both entries came with the first miss.
    ...(asksForFdb ? [`  bridge fdb replace "$mac" dst "$to" dev ${dev} self`] : []),
    "}",
    "mac() {",
    '  case "$1" in',
    ...byMac,
    "    *) return ;;",
    "  esac",
    `  bridge fdb replace "$1" dst "$to" dev ${dev} self`,
    "}",
    `ip monitor neigh dev ${dev} | while read -r word a b _; do`,
    '  [ "$word" = miss ] || continue',
    '  if [ "$a" = lladdr ]; then mac "$b"; else pod "$a"; fi',
    "done",
    "",
  ].join("\n");
}

/** Addresses of the pods of other nodes. */
const podsElsewhere = (lab: Lab, node: string): string[] =>
  lab.places.flatMap((place) => (place.pod === null || place.machine === node ? [] : podAddresses(lab, place)));

interface Tunnel {
  dev: string;
  peers: Peer[];
  /** Whether the kernel tells of tunnel ends that it does not know (l2miss). */
  asksForFdb: boolean;
}

/** The tunnel device of a node that asks for help, and the other nodes' ends; null when it has none. */
function tunnelOf(lab: Lab, node: string): Tunnel | null {
  const own = lab.intended.claims.filter(({ at }) => at === `${node}/host`);
  // Who hears of misses had the kernel ask him, too (neigh_app_ns): v0.2 and later by that alone.
  const asks = own.some(
    (claim) => claim.kind === "sysctl" && claim.state.key.endsWith(".app_solicit") && claim.state.value !== "0",
  );
  const link = asks ? own.find((claim) => claim.kind === "link" && claim.state.type === "vxlan") : undefined;
  if (link?.kind !== "link") return null;
  const peers = lab.intended.objects.flatMap((object): Peer[] => {
    if (object.kind !== "Node" || object.name === node) return [];
    const { metadata, spec } = object.value as {
      metadata?: { annotations?: Record<string, string> };
      spec?: { podCIDR?: string };
    };
    const notes = metadata?.annotations ?? {};
    const data = JSON.parse(notes["flannel.alpha.coreos.com/backend-data"] ?? "null") as { VtepMAC?: string } | null;
    const publicIp = notes["flannel.alpha.coreos.com/public-ip"];
    const [network = "", length] = (spec?.podCIDR ?? "").split("/");
    if (data?.VtepMAC === undefined || publicIp === undefined) return [];
    if (length !== "24") throw new LabError(`flanneld: the pod network of ${object.name} should be of 24 bits`);
    return [{ prefix: network.replace(/\d+$/, ""), mac: data.VtepMAC, publicIp }];
  });
  return { dev: link.state.name, peers, asksForFdb: link.state.attributes?.["l2miss"] === true };
}

export const flanneldDaemon: LabDaemon = {
  name: "flanneld",
  summary: "flannel's daemon of v0.1 to v0.8, which answers the kernel's L2 and L3 misses",
  programs: [
    { program: "ip", package: "iproute2" },
    { program: "bridge", package: "iproute2" },
    { program: "python3", package: "python3" },
  ],
  async start(lab, { on }) {
    const nodes = on.length > 0 ? on : nodeNames(lab);
    const found = nodes.flatMap((node) => {
      const tunnel = tunnelOf(lab, node);
      return tunnel === null ? [] : [{ node, tunnel }];
    });
    if (found.length === 0)
      throw new LabError("flanneld: no node has a tunnel that asks (flannel's modes l3-miss and l2-miss)");
    await Promise.all(
      found.map(async ({ node, tunnel }) => {
        const path = `${lab.folderOf(node)}/flanneld.sh`;
        await lab.write(path, script(tunnel), 0o755);
        await lab.start(`flanneld@${node}`, { at: `${node}/host`, argv: ["sh", path] });
      }),
    );
    await lab.runAll(found.map(({ node }) => prime(`${node}/host`, podsElsewhere(lab, node))));
    const names = found.map(({ node }) => `flanneld@${node}`);
    await until(lab, "flanneld", names, PATIENCE, async () => {
      for (const { node } of found) {
        const missing = await unknownNeighbour(lab, `${node}/host`, podsElsewhere(lab, node));
        if (missing === null) continue;
        // The first question may have come before the daemon listened.
        await lab.run(prime(`${node}/host`, [missing]));
        return `${node} was not told the tunnel end of ${missing}`;
      }
      return null;
    });
  },
};
