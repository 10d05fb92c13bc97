/** Which network a container runtime uses: the configuration lists in its folder. */
import { IntentError } from "../network.ts";
import type { Machine } from "../site.ts";
import { parseObject, reader, type JsonObject } from "./json-config.ts";

/** One plugin of a list. */
export interface PluginConf {
  /** Name of the program, `bridge`. */
  type: string;
  conf: JsonObject;
  /** For errors: file and plugin. */
  what: string;
}

/** A network as the runtime has it. */
export interface CniNetwork {
  /** Part of the names of chains, and host-local's folder. */
  name: string;
  file: string;
  /** In the order in which the runtime calls them. */
  plugins: PluginConf[];
}

/** The folder that containerd, CRI-O and kubelet read when they are not told another. */
export const CNI_FOLDER = "/etc/cni/net.d/";

/**
 * Reads a configuration list, or a single plugin's configuration (libcni, ConfListFromBytes, ConfListFromConf). `file` names it in
 * errors. Throws IntentError for what libcni refuses: no name, no plugins, a plugin without a type.
 */
export function parseCniNetwork(text: string, file: string): CniNetwork {
  const root = parseObject(text, file);
  const list = reader(root, file);
  const name = list.text("name");
  if (name === null || name === "") throw new IntentError(`${file}: "name" is missing`);
  const parts = list.has("plugins") ? list.objects("plugins") : [root];
  if (parts.length === 0) throw new IntentError(`${file}: "plugins" is empty`);
  const plugins = parts.map((conf, i) => {
    const type = reader(conf, file).text("type");
    if (type === null || type === "") throw new IntentError(`${file}: plugin ${i + 1} has no "type"`);
    return { type, conf, what: `${file}: plugin ${type}` };
  });
  return { name, file, plugins };
}

const kinds = /\.(?:conf|conflist|json)$/;

/**
 * The network that pods of this machine get: the first valid file by name (go-cni's loadFromConfDir and ocicni's loadNetworks sort the
 * names and take .conf, .conflist and .json). Null when there is none.
 */
export function cniNetworkOf(machine: Machine): CniNetwork | null {
  for (const path of machine
    .files(CNI_FOLDER)
    .filter((each) => kinds.test(each))
    .toSorted()) {
    // Files of other programs lie in folders beneath (calico-kubeconfig, whereabouts.d/…).
    const file = path.slice(CNI_FOLDER.length).includes("/") ? null : machine.file(path);
    if (file === null) continue;
    try {
      return parseCniNetwork(file.text, file.source.file);
    } catch (error) {
      // The runtime logs it and tries the next one.
      if (!(error instanceof IntentError)) throw error;
    }
  }
  return null;
}
