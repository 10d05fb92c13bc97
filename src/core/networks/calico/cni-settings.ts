/** What the node's CNI configuration says to Calico's plugin. */
import { cniNetworkOf } from "../cni/conflist.ts";
import { fieldOf, reader } from "../cni/json-config.ts";
import type { Machine } from "../site.ts";

export interface CniSettings {
  /** Of pods' devices; null: as Felix found best. */
  mtu: number | null;
  /** Whether pods forward packets. */
  podsForward: boolean;
}

/** Settings of the plugin `calico` in the node's CNI configuration; null when that is of another network or there is none. Throws IntentError. */
export function cniSettings(machine: Machine): CniSettings | null {
  const calico = cniNetworkOf(machine)?.plugins.find(({ type }) => type === "calico");
  if (calico === undefined) return null;
  const given = reader(calico.conf, calico.what);
  const container = given.object("container_settings");
  return {
    mtu: given.integer("mtu") || null,
    podsForward: container !== null && fieldOf(container, "allow_ip_forwarding") === true,
  };
}
