/** What nft's meta expression tells of a device (nft_meta.c). */
import type { RuleDevice } from "../context.ts";
import type { Loaded } from "./value.ts";

/** ARPHRD_* by kind of link. Kinds that are not here (tun, other drivers) are not known. */
const ARPHRD: Readonly<Record<string, number>> = {
  loopback: 772,
  ethernet: 1,
  veth: 1,
  dummy: 1,
  bridge: 1,
  vxlan: 1,
  geneve: 1,
  macvlan: 1,
  macvtap: 1,
  ipvlan: 1,
  vlan: 1,
  vrf: 1,
  bond: 1,
  gretap: 1,
  ifb: 1,
  ipip: 768,
  ip6tnl: 769,
  sit: 776,
  gre: 778,
  ip6gre: 823,
  wireguard: 0xfffe,
};

/** dev->type: undefined when the kind of device does not tell. */
export function arphrd(dev: RuleDevice): number | undefined {
  return Object.hasOwn(ARPHRD, dev.kindName) ? ARPHRD[dev.kindName] : undefined;
}

/** rtnl_link_ops->kind; null (NFT_BREAK) for devices that no link type made: loopback and physical ones. */
export function linkKind(dev: RuleDevice): Loaded {
  return dev.kindName === "loopback" || dev.kindName === "ethernet" ? null : dev.kindName;
}
