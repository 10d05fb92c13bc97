/** /run/flannel/subnet.env: what flanneld tells the CNI plugin about its lease. */
import { parsePrefix, type Prefix } from "../../model/address.ts";

export interface SubnetEnv {
  /** The cluster's network and this node's subnet, by address family; null when flanneld does not serve it. */
  network4: Prefix | null;
  subnet4: Prefix | null;
  network6: Prefix | null;
  subnet6: Prefix | null;
  /** Bytes; of pods' devices and of the tunnel. */
  mtu: number | null;
  /** Whether flanneld masquerades; null when the file does not say. */
  ipMasq: boolean | null;
}

/** Reads `NAME=VALUE` lines (flannel, pkg/subnet, WriteSubnetFile; flannel's CNI plugin, loadFlannelSubnetEnv); other lines are passed over. */
export function parseSubnetEnv(text: string): SubnetEnv {
  const values = new Map(
    text
      .split("\n")
      .map((line) => /^([A-Z0-9_]+)=(.*)$/.exec(line.trim()))
      .filter((parts) => parts !== null)
      .map((parts) => [parts[1]!, parts[2]!]),
  );
  const prefix = (name: string): Prefix | null => {
    // Versions that served several networks wrote them in one line; the lease's own is the first.
    const first = values.get(name)?.split(",", 1)[0];
    return first === undefined ? null : parsePrefix(first);
  };
  const mtu = Number(values.get("FLANNEL_MTU"));
  const masq = values.get("FLANNEL_IPMASQ");
  return {
    network4: prefix("FLANNEL_NETWORK"),
    subnet4: prefix("FLANNEL_SUBNET"),
    network6: prefix("FLANNEL_IPV6_NETWORK"),
    subnet6: prefix("FLANNEL_IPV6_SUBNET"),
    mtu: Number.isInteger(mtu) && mtu > 0 ? mtu : null,
    ipMasq: masq === undefined ? null : masq === "true",
  };
}
