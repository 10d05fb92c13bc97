/** What flannel's rules match, whichever program holds them. */
import type { FlannelFamily } from "./settings.ts";
import { formatPrefix } from "../../model/address.ts";

export interface Networks {
  /** The whole cluster's. */
  cluster: string;
  /** This node's part of it. */
  pods: string;
  multicast: string;
}

/** The networks of one family; null when the cluster's network is not known, without which there is no rule to tell. */
export function networksOf(family: FlannelFamily): Networks | null {
  if (family.network === null) return null;
  return {
    cluster: formatPrefix(family.network),
    pods: formatPrefix(family.subnet),
    multicast: family.family === 4 ? "224.0.0.0/4" : "ff00::/8",
  };
}
