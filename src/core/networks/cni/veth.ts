/** The pair of devices that joins a pod to its host. */
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import type { LinkState } from "../state.ts";
import type { Attachment } from "./attachments.ts";

/** MTU of devices that are made without one, bytes (net/ethernet/eth.c, ether_setup). */
export const DEFAULT_MTU = 1500;

/**
 * Both ends of a pod's veth pair (pkg/ip, SetupVeth), with MTU `mtu` (0: the kernel's own choice); `host` adds what the plugin does to
 * the end on the host. Its name is drawn at random: without a record of it, only the pod's end can be told.
 */
export function vethPair(
  owner: string,
  hostPlace: string,
  attachment: Attachment,
  mtu: number,
  host: Partial<LinkState>,
): Claim[] {
  const { sandbox, ifname } = attachment;
  const { device, hostDevice } = sandbox;
  const common = { type: "veth", mtu: mtu || DEFAULT_MTU, up: true } as const;
  const paired = device !== null && hostDevice !== null;
  const claims: Claim[] = [
    {
      owner,
      at: sandbox.place,
      kind: "link",
      state: { ...common, name: ifname, master: null, ...(paired && { peer: `${hostPlace} ${hostDevice.name}` }) },
    },
  ];
  if (!paired) return claims;
  claims.push(
    {
      owner,
      at: hostPlace,
      kind: "link",
      state: { ...common, name: hostDevice.name, peer: `${sandbox.place} ${device.name}`, ...host },
    },
    {
      owner,
      at: hostPlace,
      kind: "sysctl",
      optional: true,
      state: { key: sysctlConf("ipv6", hostDevice.name, "accept_ra"), value: "0" },
    },
  );
  return claims;
}

/** Forwarding between devices, which plugins that route turn on for each family of addresses (pkg/ip, EnableForward). */
export function forwarding(owner: string, at: string, families: ReadonlySet<4 | 6>): Claim[] {
  const keys = [
    ...(families.has(4) ? ["net.ipv4.ip_forward"] : []),
    ...(families.has(6) ? ["net.ipv6.conf.all.forwarding"] : []),
  ];
  return keys.map((key) => ({ owner, at, kind: "sysctl", state: { key, value: "1" } }));
}
