/** flannel's network configuration, net-conf.json. */
import { parsePrefix, type Prefix } from "../../model/address.ts";
import { fieldOf, parseObject, reader, type JsonObject } from "../cni/json-config.ts";
import { IntentError } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import type { FlannelOptions } from "./options.ts";

export interface NetConf {
  network4: Prefix | null;
  network6: Prefix | null;
  nftables: boolean;
  /** udp when nothing is said. */
  backend: string;
  /** VXLAN's options; null where the backend's own default rules. */
  vni: number | null;
  port: number | null;
  mtu: number | null;
  learning: boolean;
  directRouting: boolean;
}

/** Reads it with the defaults of pkg/subnet, ParseConfig, and pkg/backend/vxlan, parseVXLANConfig. `what` names it in errors. */
function parseNetConf(text: string, what: string): NetConf {
  const conf = reader(parseObject(text, what), what);
  const backend = reader(conf.object("Backend") ?? { Type: "udp" }, `${what}: Backend`);
  const network = (enabled: boolean, name: string): Prefix | null => {
    const value = enabled ? conf.text(name) : null;
    const prefix = value === null ? null : parsePrefix(value);
    if (value !== null && prefix === null) throw new IntentError(`${what}: "${name}" is no network: ${value}`);
    return prefix;
  };
  return {
    network4: network(conf.flag("EnableIPv4") ?? true, "Network"),
    network6: network(conf.flag("EnableIPv6") ?? false, "IPv6Network"),
    nftables: conf.flag("EnableNFTables") ?? false,
    backend: backend.text("Type") ?? "",
    vni: backend.integer("VNI"),
    // 0 leaves the port to the kernel.
    port: backend.integer("Port") || null,
    mtu: backend.integer("MTU") || null,
    learning: backend.flag("Learning") ?? false,
    directRouting: backend.flag("DirectRouting") ?? false,
  };
}

/** net-conf.json of flannel's own manifest, the ConfigMap kube-flannel-cfg; null when it was not recorded. */
function configMap(site: Site): { text: string; what: string } | null {
  for (const item of (site.cluster.raw.get("configmaps") ?? []) as JsonObject[]) {
    const meta = fieldOf(item, "metadata") as JsonObject | undefined;
    const data = fieldOf(item, "data") as JsonObject | undefined;
    const text = data?.["net-conf.json"];
    if (meta?.["name"] !== "kube-flannel-cfg" || typeof text !== "string") continue;
    return { text, what: `ConfigMap ${String(meta["namespace"])}/kube-flannel-cfg, net-conf.json` };
  }
  return null;
}

/**
 * The configuration of flanneld on `machine`: the file that its command line names, else (for the path that flannel's manifest mounts
 * it at) the ConfigMap. Null when neither was recorded: then nothing is known of it. Throws IntentError when it makes no sense.
 */
export function netConfOf(site: Site, machine: Machine, options: FlannelOptions): NetConf | null {
  const path = options.netConfPath;
  const file = machine.file(path) ?? machine.file(path.slice(path.lastIndexOf("/") + 1));
  if (file !== null) return parseNetConf(file.text, file.source.file);
  const map = path.startsWith("/etc/kube-flannel/") ? configMap(site) : null;
  return map === null ? null : parseNetConf(map.text, map.what);
}
