/** What the node's CNI configuration says to Calico's plugin. */
import { fieldOf, parseObject, reader } from "../cni/json-config.ts";
import type { Machine } from "../site.ts";

export interface CniSettings {
  /** Of pods' devices; null: as Felix found best. */
  mtu: number | null;
  /** Whether pods forward packets. */
  podsForward: boolean;
}

const FOLDER = "/etc/cni/net.d/";

/**
 * Settings of the plugin `calico` in the first configuration of the node, the one that the container runtime uses; null when that is of
 * another network or there is none. Throws IntentError when it is no JSON.
 */
export function cniSettings(machine: Machine): CniSettings | null {
  const path = machine.files(FOLDER).find((each) => /\.(conf|conflist|json)$/.test(each));
  const file = path === undefined ? null : machine.file(path);
  if (file === null || path === undefined) return null;
  const config = parseObject(file.text, file.source.file);
  const plugins =
    fieldOf(config, "plugins") === undefined ? [config] : reader(config, file.source.file).objects("plugins");
  const calico = plugins.find((plugin) => fieldOf(plugin, "type") === "calico");
  if (calico === undefined) return null;
  const given = reader(calico, file.source.file);
  const container = given.object("container_settings");
  return {
    mtu: given.integer("mtu") || null,
    podsForward: container !== null && fieldOf(container, "allow_ip_forwarding") === true,
  };
}
