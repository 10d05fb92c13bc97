/** A floating address before the API servers, of kind VirtualIP: keepalived, HAProxy, and the redirect between them. */
import { parseIp } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import { IntentError } from "../network.ts";
import { API_PORT, HEALTH_PORT, LB_PORT, STAT_PORT, type VipDescription, type VipNode } from "../vip/description.ts";
import { elect, type Contender } from "../vip/election.ts";
import { haproxyConf } from "../vip/haproxy-conf.ts";
import { keepalivedConf } from "../vip/keepalived-conf.ts";
import { readKeepalived } from "../vip/keepalived-read.ts";
import { redirectClaims } from "../vip/redirect.ts";
import { internalIps } from "./fill-in.ts";
import { readMachine } from "./machines.ts";
import type { WrittenObject } from "./objects.ts";
import { ownObjects, specOf, type FieldReader } from "./own-kinds.ts";
import { part } from "./plain.ts";
import type { RenderedFile, RenderedMachine, RenderedNote, Renderer } from "./renderer.ts";

const KEEPALIVED = "/etc/keepalived/keepalived.conf";
const HAPROXY = "/etc/haproxy/haproxy.cfg";
/** By what the redirect is made: nftables since OpenShift 4.19, iptables before. */
const MODES = ["nftables", "iptables"] as const;
const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";

const ip = (text: string): string | null => (parseIp(text) === null ? null : text);

function given(spec: FieldReader): VipNode[] {
  return spec.each("nodes").map((node) => {
    node.only("name", "address", "interface");
    node.required("address");
    return {
      name: node.required("name"),
      address: node.parsed("address", "an address", ip) ?? "",
      interface: node.text("interface") ?? "eth0",
    };
  });
}

/** Nodes with an API server: those of the control plane, all when none says that it is. */
function fromNodes(objects: readonly WrittenObject[], vip: string): VipNode[] {
  const all = objects.filter((each) => each.kind === "Node");
  const isMaster = (node: WrittenObject): boolean =>
    Object.hasOwn(part(part(node.value, "metadata"), "labels"), CONTROL_PLANE);
  const masters = all.filter(isMaster);
  const machines = ownObjects(objects, "Machine").map(readMachine);
  return (masters.length > 0 ? masters : all).flatMap((node): VipNode[] => {
    const address = internalIps(node).find((each) => each.includes(":") === vip.includes(":"));
    if (address === undefined) return [];
    const device = machines
      .find((each) => each.name === node.name)
      ?.devices.find((each) => each.addresses.some((text) => text.startsWith(`${address}/`)));
    return [{ name: node.name, address, interface: device?.name ?? "eth0" }];
  });
}

function descriptionOf(object: WrittenObject, objects: readonly WrittenObject[]): VipDescription {
  const spec = specOf(object).only(
    "vip",
    "ingressVip",
    "prefixLen",
    "nodes",
    "apiPort",
    "lbPort",
    "statPort",
    "healthPort",
    "unicast",
  );
  spec.required("vip");
  const vip = spec.parsed("vip", "an address", ip) ?? "";
  const nodes = given(spec);
  const description = {
    cluster: object.name,
    vip,
    ingressVip: spec.parsed("ingressVip", "an address", ip),
    prefixLen: spec.integer("prefixLen") ?? (vip.includes(":") ? 128 : 32),
    nodes: nodes.length > 0 ? nodes : fromNodes(objects, vip),
    apiPort: spec.port("apiPort") ?? API_PORT,
    lbPort: spec.port("lbPort") ?? LB_PORT,
    statPort: spec.port("statPort") ?? STAT_PORT,
    healthPort: spec.port("healthPort") ?? HEALTH_PORT,
    unicast: spec.flag("unicast") ?? false,
  };
  if (description.nodes.length === 0) throw spec.error("nodes", "is missing, and there are no Nodes to take them from");
  return description;
}

/** Who holds an address by VRRP's rules while every check succeeds everywhere, by the very files that are rendered. */
function election(vip: string, files: readonly RenderedFile[], description: VipDescription): RenderedNote[] {
  const contenders = files.flatMap(({ at, path, text }): Contender[] => {
    if (path !== KEEPALIVED) return [];
    const conf = readKeepalived({ text, source: { file: path, line: 1 } });
    const instance = conf.instances.find((each) => each.addresses.some(({ address }) => address === vip));
    const source = description.nodes.find((node) => node.name === at)?.address ?? "";
    return instance === undefined
      ? []
      : [{ node: at, instance, source, ready: true, scripts: new Map(), master: false }];
  });
  const { standings } = elect(contenders, () => true);
  const undecided = "all are equal: who is first stays, until its checks fail";
  const all = new Set(standings.map(({ priority }) => priority)).size === 1 && standings.length > 1;
  return standings.map(({ node, priority, because }) => ({
    at: `${node}/host`,
    title: `VRRP for ${vip} while every check succeeds`,
    lines: [`priority ${priority}: ${all ? undecided : because}`],
  }));
}

/** The redirect in one of the two programs' words. It is there while the node's own HAProxy answers. */
function redirects(description: VipDescription, node: string, mode: string): Claim[] {
  const { vip, apiPort, lbPort } = description;
  if (apiPort === lbPort) return [];
  const isNft = (claim: Claim): boolean =>
    (claim.kind === "chain" && claim.state.backend === "nft") ||
    (claim.kind === "rule" && claim.chain.backend === "nft");
  return redirectClaims({ vip, apiPort, lbPort }, "keepalived", `${node}/host`)
    .filter((claim) => isNft(claim) === (mode === "nftables"))
    .map((claim) => ({ ...claim, optional: false }));
}

/** Machines with the device that the address is put on. */
function machinesOf(all: readonly VipDescription[]): RenderedMachine[] {
  const byName = new Map<string, RenderedMachine>();
  for (const { name, address, interface: dev } of all.flatMap((each) => each.nodes)) {
    const device = { name: dev, mtu: 1500, mac: null, addresses: [`${address}/${address.includes(":") ? 64 : 24}`] };
    if (!byName.has(name)) byName.set(name, { name, devices: [device], routes: [] });
  }
  return [...byName.values()];
}

export const vipRenderer: Renderer = {
  name: "vip",
  about: "A VirtualIP before the API servers: keepalived, HAProxy, the redirect, the election",
  modes: MODES,
  render(objects, { mode }) {
    const written = ownObjects(objects, "VirtualIP");
    if (written.length === 0)
      throw new IntentError("the objects hold no VirtualIP (apiVersion: kubewalk/v1): there is no address to float");
    const all = written.map((each) => descriptionOf(each, objects));
    const files = all.flatMap((description) =>
      description.nodes.flatMap(({ name }): RenderedFile[] => [
        { at: name, path: KEEPALIVED, text: keepalivedConf(description, name) },
        { at: name, path: HAPROXY, text: haproxyConf(description) },
      ]),
    );
    return {
      claims: all.flatMap((each) => each.nodes.flatMap(({ name }) => redirects(each, name, mode ?? MODES[0]))),
      files,
      notes: all.flatMap((each) =>
        [each.vip, ...(each.ingressVip === null ? [] : [each.ingressVip])].flatMap((address) =>
          election(address, files, each),
        ),
      ),
      machines: machinesOf(all),
      beneath: new Map(),
    };
  },
};
