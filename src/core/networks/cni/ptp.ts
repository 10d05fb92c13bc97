/** Plugin `ptp`: a pair of devices for each pod, with the gateway's address on the host's end, and a route to the pod. */
import { formatIp, formatPrefix, prefixOf } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { Attachment } from "./attachments.ts";
import { configureIface, podRoute } from "./configure-iface.ts";
import { ipMasq } from "./ip-masq.ts";
import { reader } from "./json-config.ts";
import type { PluginRun } from "./plugin.ts";
import { forwarding, vethPair } from "./veth.ts";

/** setupContainerVeth: the kernel's own route to the network is replaced by one by the gateway, so that all goes by the host. */
function podRoutes(owner: string, attachment: Attachment): Claim[] {
  const at = attachment.sandbox.place;
  return attachment.addresses.flatMap(({ ip, len, gateway }): Claim[] => {
    if (gateway === null) return [];
    const src = ip.v === 4 ? formatIp(ip) : undefined;
    const host = { dst: `${formatIp(gateway)}/${ip.v === 4 ? 32 : 128}`, family: ip.v, gw: null, scope: 253 };
    const net = { dst: formatPrefix(prefixOf(ip, len)), family: ip.v, gw: gateway };
    return [host, net].map((route) => podRoute(owner, at, attachment.ifname, route, src === undefined ? {} : { src }));
  });
}

/** setupHostVeth: the gateway's address on the host's end, and the pod behind it. */
function hostEnd(owner: string, at: string, attachment: Attachment): Claim[] {
  const dev = attachment.sandbox.hostDevice?.name;
  if (dev === undefined) return [];
  return attachment.addresses.flatMap(({ ip, gateway }): Claim[] => {
    if (gateway === null) return [];
    const len = ip.v === 4 ? 32 : 128;
    const dst = `${formatIp(ip)}/${len}`;
    return [
      { owner, at, kind: "address", state: { dev, address: `${formatIp(gateway)}/${len}`, scope: "global" } },
      podRoute(owner, at, dev, { dst, family: ip.v, gw: null, scope: 254 }),
    ];
  });
}

/** What `ptp` makes on a machine for the pods that are there (plugins/main/ptp, cmdAdd). Throws IntentError when its configuration makes no sense. */
export function ptp(run: PluginRun): Claim[] {
  const { conf, what, type: owner } = run.plugin;
  const o = reader(conf, what);
  const at = run.machine.place;
  const families = new Set(run.attached.flatMap((each) => each.addresses.map(({ ip }) => ip.v)));
  return [
    ...forwarding(owner, at, families),
    ...run.attachments.flatMap((each) => [
      ...vethPair(owner, at, each, o.integer("mtu") ?? 0, { master: null }),
      ...configureIface(owner, each, run.ipam.routes),
      ...podRoutes(owner, each),
      ...hostEnd(owner, at, each),
    ]),
    ...(o.flag("ipMasq") === true ? ipMasq({ owner, at, network: run.network.name }, conf, what, run.attached) : []),
  ];
}
