/** MetalLB's speakers: on layer 2 a program that answers ARP, by BGP FRR's bgpd with the configuration that MetalLB writes. */
import { l2Announcements } from "../../../core/networks/metallb/announce.ts";
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { LabError, type Lab, type LabDaemon } from "../parts.ts";
import { addressesOf, internalIp, nodeNames } from "./addresses.ts";
import { ARP_SPEAKER } from "./arp-speaker.ts";
import { prime, unknownNeighbour } from "./prime.ts";
import { until } from "./wait.ts";

const FRR = "/etc/frr/frr.conf";
const BGPD = "/usr/lib/frr/bgpd";
const PATIENCE = 10;
/** Devices on which no speaker answers (MetalLB's manifest, excludel2.yaml). */
const EXCLUDED = /^(?:docker|cbr|dummy|virbr|lxcbr|veth|lo$|cali|tunl|flannel|kube-ipvs|cni|nodelocaldns|lxc)/;

/** Addresses that each node answers for, with the devices. */
async function answerers(
  lab: Lab,
  nodes: readonly string[],
): Promise<[node: string, addresses: string[], devices: string[]][]> {
  const told = l2Announcements(clusterOf(lab.intended.objects)).filter(({ node }) => node !== null);
  const six = told.find(({ address }) => address.includes(":"));
  if (six !== undefined)
    throw new LabError(
      `metallb-speaker: ${six.address} is of IPv6; on layer 2 a lab answers for addresses of IPv4 alone`,
    );
  return Promise.all(
    nodes
      .filter((node) => told.some((each) => each.node === node))
      .map(async (node) => {
        const own = told.filter((each) => each.node === node);
        const devices = new Set((await addressesOf(lab, `${node}/host`)).map(({ dev }) => dev));
        const chosen = own.flatMap(({ interfaces }) => interfaces);
        const usable = [...devices].filter(
          (dev) => !EXCLUDED.test(dev) && (chosen.length === 0 || chosen.includes(dev)),
        );
        return [node, own.map(({ address }) => address), usable] as [string, string[], string[]];
      }),
  );
}

async function startArp(
  lab: Lab,
  node: string,
  addresses: readonly string[],
  devices: readonly string[],
): Promise<string> {
  const path = `${lab.folderOf(node)}/arp-speaker.py`;
  await lab.write(path, ARP_SPEAKER);
  const name = `metallb-speaker@${node}`;
  await lab.start(name, { at: `${node}/host`, argv: ["python3", path, addresses.join(","), devices.join(",")] });
  return name;
}

/** bgpd alone: what MetalLB tells is no route of the kernel's. */
async function startBgpd(lab: Lab, node: string, text: string): Promise<string> {
  const folder = lab.folderOf(node);
  const path = `${folder}${FRR}`;
  const id = internalIp(lab, node);
  const config = text
    .replace(/^log file \/etc\/frr\/\S+/m, `log file ${folder}/frr.log`)
    // zebra, which tells bgpd an address to go by, does not run here.
    .replace(/^router bgp \d+.*$/m, (line) =>
      text.includes("bgp router-id") ? line : `${line}\n  bgp router-id ${id}`,
    );
  await lab.write(path, config);
  lab.record(node, FRR, path);
  const name = `bgpd@${node}`;
  const own = ["-i", `${folder}/bgpd.pid`, "--vty_socket", folder, "-z", `${folder}/zebra.sock`, "-P", "0"];
  await lab.start(name, {
    at: `${node}/host`,
    argv: [BGPD, "-f", path, "-S", "-Z", ...own],
  });
  return name;
}

export const metallbSpeakerDaemon: LabDaemon = {
  name: "metallb-speaker",
  summary: "MetalLB's speakers: answers to ARP on layer 2, FRR's bgpd for BGP",
  programs: [{ program: "python3", package: "python3" }],
  async start(lab, { on }) {
    const nodes = on.length > 0 ? on : nodeNames(lab);
    const bgp = lab.intended.files.filter(({ at, path }) => path === FRR && nodes.includes(at));
    const [found] = await lab.must([
      { at: `${nodes[0]}/host`, argv: ["sh", "-c", `test -x ${BGPD} && echo yes || true`] },
    ]);
    if (bgp.length > 0 && found?.out.trim() !== "yes")
      throw new LabError(`metallb-speaker: ${BGPD} is not here; it comes with the Debian package frr`);
    const arp = await answerers(lab, nodes);
    if (arp.length === 0 && bgp.length === 0)
      throw new LabError(
        "metallb-speaker: there is no address to announce (also: [metallb], and a Service of type LoadBalancer)",
      );
    const arpNames = await Promise.all(arp.map((each) => startArp(lab, ...each)));
    await Promise.all(bgp.map(({ at, text }) => startBgpd(lab, at, text)));
    await until(lab, "metallb-speaker", arpNames, PATIENCE, async () => {
      const logs = await Promise.all(arpNames.map((name) => lab.logOf(name)));
      const silent = arpNames.find((_, i) => !logs[i]?.includes("ready"));
      return silent === undefined ? null : `${silent} is not ready`;
    });
    // The router asks when it has something to send.
    const told = arp.flatMap(([, addresses]) => addresses);
    if (told.length > 0 && lab.machines.includes("fabric")) {
      await lab.run(prime("fabric/host", told));
      await until(lab, "metallb-speaker", arpNames, PATIENCE, async () => {
        const missing = await unknownNeighbour(lab, "fabric/host", told);
        return missing === null ? null : `nobody told the router who has ${missing}`;
      });
    }
  },
};
