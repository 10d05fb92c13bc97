/** A chain of CNI plugins, called as libcni calls it (CNI 1.0: SPEC.md, "Derivation of Execution Configuration from Network Configuration"). */
import { LabError, type Lab } from "../parts.ts";

export type Verb = "ADD" | "CHECK" | "DEL";

/** Where Debian has the plugins. */
export const PLUGINS = "/usr/lib/cni";

/** One attachment of a pod. */
export interface Attachment {
  /** Place in which plugins run: the node's root namespace. */
  host: string;
  containerId: string;
  /** Path of the pod's namespace. */
  netns: string;
  ifname: string;
  pod: { namespace: string; name: string };
  /** hostPorts, as the runtime passes them on. */
  portMappings: { hostPort: number; containerPort: number; protocol: string; hostIP?: string }[];
}

/** A network configuration list. */
export interface Conflist {
  name: string;
  cniVersion: string;
  plugins: Record<string, unknown>[];
}

interface PluginError {
  code?: number;
  msg?: string;
  details?: string;
}

/** What a plugin is given on standard input. */
function execution(list: Conflist, plugin: Record<string, unknown>, attachment: Attachment, previous: unknown): string {
  const { capabilities, ...own } = plugin;
  const wants = (capabilities ?? {}) as Record<string, unknown>;
  return JSON.stringify({
    ...own,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(previous === null ? {} : { prevResult: previous }),
    ...(wants["portMappings"] === true && attachment.portMappings.length > 0
      ? { runtimeConfig: { portMappings: attachment.portMappings } }
      : {}),
  });
}

/** What a plugin said of its failure (SPEC.md, "Error"). */
function reason(out: string, err: string): string {
  try {
    const { msg, details } = JSON.parse(out) as PluginError;
    return [msg, details].filter((each) => each !== undefined && each !== "").join(": ");
  } catch {
    return err.trim() || out.trim() || "it said nothing";
  }
}

/**
 * Whether a result has addresses of both families. portmap up to 1.1.1 looks for a pod's chains in both of iptables and ip6tables
 * (checkPorts), so that its CHECK fails for every pod that has only one.
 */
function isDual(result: unknown): boolean {
  const ips = (result as { ips?: { address: string }[] } | null)?.ips ?? [];
  return new Set(ips.map(({ address }) => address.includes(":"))).size === 2;
}

/**
 * Calls every plugin of a list: in order, in reverse for DEL. `previous` is the result of ADD, for CHECK and DEL. Resolves to the last
 * plugin's result of ADD. Rejects with LabError naming the plugin, the verb and the pod.
 */
export async function callPlugins(
  lab: Lab,
  verb: Verb,
  list: Conflist,
  attachment: Attachment,
  previous: unknown = null,
): Promise<unknown> {
  const { host, containerId, netns, ifname, pod, portMappings } = attachment;
  const plugins = verb === "DEL" ? list.plugins.toReversed() : list.plugins;
  let result = previous;
  for (const plugin of plugins) {
    const type = String(plugin["type"]);
    if (verb === "CHECK" && type === "portmap" && portMappings.length > 0 && !isDual(previous)) continue;
    const { status, out, err } = await lab.run({
      at: host,
      argv: [`${PLUGINS}/${type}`],
      input: execution(list, plugin, attachment, result),
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: containerId,
        CNI_NETNS: netns,
        CNI_IFNAME: ifname,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}`,
        CNI_PATH: PLUGINS,
      },
    });
    if (status !== 0) throw new LabError(`cni: ${type} ${verb} for ${pod.namespace}/${pod.name}: ${reason(out, err)}`);
    if (verb === "ADD") result = JSON.parse(out);
  }
  return result;
}
