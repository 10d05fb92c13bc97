/** What kubelet knows of DNS: its flags, its configuration file, and the resolv.conf that it starts from. */
import { flagOf } from "../flags.ts";
import { kubeletConfiguration } from "../kubelet-config.ts";
import type { Machine } from "../site.ts";
import { textAt, textsAt } from "../raw-paths.ts";
import { withoutFinalDot, type ResolvConf } from "./resolv-conf.ts";

/** kubelet's settings that decide a pod's resolv.conf. */
export interface KubeletDns {
  /** `clusterDNS`; empty when none is set: ClusterFirst then falls back to Default. */
  clusterDns: string[];
  /** `clusterDomain`; empty when it is not set: no search list of the cluster. */
  clusterDomain: string;
  /** The file that Default pods get, already read; null when kubelet was told to use none (`--resolv-conf=""`). */
  host: ResolvConf | null;
  /** Addresses of the node, for pods without any server. */
  nodeIps: string[];
}

/** kubelet's default of `resolvConf` on Linux (pkg/kubelet/apis/config/v1beta1/defaults_linux.go). */
const DEFAULT_RESOLV_CONF = "/etc/resolv.conf";

/**
 * kubelet's DNS settings on this machine; null when its command line was not recorded. Flags win over the file
 * (cmd/kubelet/app/server.go, kubeletConfigFlagPrecedence). Throws IntentError when the file is no YAML.
 */
export function kubeletDns(machine: Machine): KubeletDns | null {
  const command = machine.command("kubelet");
  if (command === null) return null;
  const config = kubeletConfiguration(machine);
  const flag = (name: string): string | null => flagOf(command.words, name);
  const dns = flag("cluster-dns");
  const path = flag("resolv-conf") ?? textAt(config, "resolvConf") ?? DEFAULT_RESOLV_CONF;
  return {
    clusterDns: dns === null ? textsAt(config, "clusterDNS") : dns.split(",").filter((each) => each !== ""),
    clusterDomain: withoutFinalDot(flag("cluster-domain") ?? textAt(config, "clusterDomain") ?? ""),
    host: path === "" ? null : parseHost(machine.file(path)?.text ?? ""),
    nodeIps: machine.node?.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address) ?? [],
  };
}

/**
 * kubelet's own reading of the host's file (parseResolvConf in dns.go): `nameserver` lines add up, of `search` and of `options` the
 * last line counts, `domain` means nothing.
 */
function parseHost(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) conf.nameservers.push(rest[0]);
    else if (word === "search") conf.search = rest.map(withoutFinalDot);
    else if (word === "options") conf.options = rest;
  }
  return conf;
}
