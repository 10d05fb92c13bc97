/** Plugin `bridge`: a bridge on the host that is the pods' gateway, and a port of it for each pod. */
import { formatIp } from "../../model/address.ts";
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import type { Attached, Attachment } from "./attachments.ts";
import { configureIface, podRoute } from "./configure-iface.ts";
import { ipMasq } from "./ip-masq.ts";
import type { Ipam } from "./ipam.ts";
import { reader } from "./json-config.ts";
import type { PluginRun } from "./plugin.ts";
import { DEFAULT_MTU, forwarding, vethPair } from "./veth.ts";

interface BridgeConf {
  name: string;
  isGateway: boolean;
  isDefaultGateway: boolean;
  ipMasq: boolean;
  mtu: number;
  hairpin: boolean;
  vlan: number;
  vlanFiltering: boolean;
  dad: boolean;
}

/** plugins/main/bridge, loadNetConf. */
function settings(run: PluginRun): BridgeConf {
  const o = reader(run.plugin.conf, run.plugin.what);
  const isDefaultGateway = o.flag("isDefaultGateway") ?? false;
  const vlan = o.integer("vlan") ?? 0;
  return {
    name: o.text("bridge") || "cni0",
    isDefaultGateway,
    isGateway: isDefaultGateway || (o.flag("isGateway") ?? false),
    ipMasq: o.flag("ipMasq") ?? false,
    mtu: o.integer("mtu") ?? 0,
    hairpin: o.flag("hairpinMode") ?? false,
    vlan,
    vlanFiltering: vlan !== 0 || o.has("vlanTrunk"),
    dad: o.flag("enabledad") ?? false,
  };
}

/**
 * The bridge itself. `optional` on a machine that has no pods of this network now: the bridge is made with the first pod and stays when
 * the last one goes.
 */
function device(run: PluginRun, conf: BridgeConf, optional: boolean): Claim[] {
  const claimed = { owner: run.plugin.type, at: run.machine.place, ...(optional && { optional }) };
  const mac = run.machine.macOf(conf.name);
  return [
    {
      ...claimed,
      kind: "link",
      state: {
        name: conf.name,
        type: "bridge",
        mtu: conf.mtu || DEFAULT_MTU,
        up: true,
        ...(mac !== null && { mac }),
        attributes: { vlanFiltering: conf.vlanFiltering },
      },
    },
    {
      ...claimed,
      optional: true,
      kind: "sysctl",
      state: { key: sysctlConf("ipv6", conf.name, "accept_ra"), value: "0" },
    },
  ];
}

/** The gateway's addresses on the bridge, or on the port that stands for it in a VLAN (ensureVlanInterface). */
function gateways(run: PluginRun, conf: BridgeConf, ipam: Ipam, attached: readonly Attached[]): Claim[] {
  const used = attached
    .flatMap((each) => each.addresses)
    .flatMap(({ gateway, len }) => (gateway ? [{ ip: gateway, len }] : []));
  const claimed = { owner: run.plugin.type, at: run.machine.place, ...(used.length === 0 && { optional: true }) };
  const dev = conf.vlan === 0 ? conf.name : `${conf.name}.${conf.vlan}`;
  const wanted = used.length === 0 ? ipam.gateways : used;
  const unique = new Map(wanted.map(({ ip, len }) => [formatIp(ip), { ip, len }]));
  return [...unique].map(([text, { len }]) => ({
    ...claimed,
    kind: "address",
    state: { dev, address: `${text}/${len}`, scope: "global" },
  }));
}

/** One pod: its port of the bridge, its addresses and routes, its own settings. */
function pod(run: PluginRun, conf: BridgeConf, ipam: Ipam, attachment: Attachment): Claim[] {
  const owner = run.plugin.type;
  const at = attachment.sandbox.place;
  const dev = attachment.ifname;
  const claims = vethPair(owner, run.machine.place, attachment, conf.mtu, { master: conf.name, hairpin: conf.hairpin });
  if (ipam.type === "") return claims;
  claims.push(...configureIface(owner, attachment, ipam.routes));
  const setting = (key: string, value: string, optional: boolean): void => {
    claims.push({ owner, at, kind: "sysctl", state: { key, value }, ...(optional && { optional }) });
  };
  setting(sysctlConf("ipv4", dev, "arp_notify"), "1", false);
  setting(sysctlConf("ipv6", dev, "accept_dad"), conf.dad ? "1" : "0", true);
  if (conf.isDefaultGateway) {
    // calcGateways: unless the address management brings such a route with a gateway.
    for (const family of [4, 6] as const) {
      const dst = family === 4 ? "0.0.0.0/0" : "::/0";
      const gw = attachment.addresses.find(({ ip }) => ip.v === family)?.gateway ?? null;
      const brought = ipam.routes.some((route) => route.dst === dst && route.gw !== null);
      if (gw !== null && !brought) claims.push(podRoute(owner, at, dev, { dst, family, gw }));
    }
  }
  return claims;
}

/**
 * What `bridge` makes on a machine for the pods that are there (plugins/main/bridge of v1.9, cmdAdd; the same since v0.8 but for the
 * masquerading in nftables). Throws IntentError when its configuration makes no sense.
 */
export function bridge(run: PluginRun): Claim[] {
  const conf = settings(run);
  const ipam = run.ipam;
  const attached = run.attached;
  const owner = run.plugin.type;
  const at = run.machine.place;
  const families = new Set(attached.flatMap((each) => each.addresses.map(({ ip }) => ip.v)));
  return [
    ...device(run, conf, attached.length === 0),
    ...(conf.isGateway && ipam.type !== "" ? gateways(run, conf, ipam, attached) : []),
    ...(conf.isGateway ? forwarding(owner, at, families) : []),
    ...run.attachments.flatMap((each) => pod(run, conf, ipam, each)),
    ...(conf.ipMasq && ipam.type !== ""
      ? ipMasq({ owner, at, network: run.network.name }, run.plugin.conf, run.plugin.what, attached)
      : []),
  ];
}
