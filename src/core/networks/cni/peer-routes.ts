/** Routes between nodes that no network makes: by hand, by a cloud's controller, by whoever set the machines up. */
import { formatIp, formatPrefix, inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import { nodesOf, type Machine, type OwnDevice, type Site } from "../site.ts";
import { cniNetworkOf } from "./conflist.ts";

/** Plugins that know of their own machine's pods alone: something else has to lead to those of other machines. */
const LOCAL_ONLY: ReadonlySet<string> = new Set(["bridge", "ptp"]);

/** The device on whose link `address` is. */
function deviceTo(devices: readonly OwnDevice[], address: string): string | null {
  const ip = parseIp(address);
  const found = devices.find((device) =>
    device.addresses.some((each) => {
      const prefix = parsePrefix(each);
      return ip !== null && prefix !== null && inPrefix(ip, prefix);
    }),
  );
  return found?.name ?? null;
}

/**
 * A route to each other node's pod network by that node's address, as clusters have them whose CNI network is a plain bridge (or ptp).
 * The owner is `machine`. They are optional: where the fabric routes the pod networks a node needs none, and no object says which of
 * the two it is. Nothing for machines whose network programs its own routes, or where flannel runs.
 */
export function peerRoutes(site: Site, machine: Machine): Claim[] {
  const main = cniNetworkOf(machine)?.plugins[0];
  if (machine.node === null || main === undefined || !LOCAL_ONLY.has(main.type)) return [];
  if (machine.command("flanneld") !== null || machine.file("/run/flannel/subnet.env") !== null) return [];
  return nodesOf(site)
    .filter((each) => each.name !== machine.name)
    .flatMap(({ node }) =>
      node.podCIDRs.flatMap((text): Claim[] => {
        const cidr = parsePrefix(text);
        const address = node.addresses
          .filter((each) => each.type === "InternalIP")
          .map((each) => parseIp(each.address))
          .find((ip) => ip !== null && ip.v === cidr?.ip.v);
        if (cidr === null || address === undefined || address === null) return [];
        const via = formatIp(address);
        const dev = deviceTo(machine.devices, via);
        if (dev === null) return [];
        const family = cidr.ip.v;
        const metric = family === 4 ? 0 : 1024;
        const state = { family, table: 254, dst: formatPrefix(cidr), type: "unicast", metric, ways: [{ via, dev }] };
        return [{ owner: "machine", at: machine.place, optional: true, kind: "route", state }];
      }),
    );
}
