/** kube-proxy's settings as they were given: the configuration file, or flags in the file's own shape. */
import { parse } from "yaml";
import { flagOf, isTrue, switchOf } from "../flags.ts";
import { IntentError } from "../network.ts";
import type { Machine } from "../site.ts";

/** Fields of a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), as they stand. */
export type Settings = Record<string, unknown>;

/** Flags, and where a configuration file has what they say; a Boolean flag needs no value. */
const FLAGS: Record<string, { paths: string[]; type?: "boolean" | "list" | "gates" }> = {
  "proxy-mode": { paths: ["mode"] },
  "cluster-cidr": { paths: ["clusterCIDR"] },
  "bind-address": { paths: ["bindAddress"] },
  "nodeport-addresses": { paths: ["nodePortAddresses"], type: "list" },
  "feature-gates": { paths: ["featureGates"], type: "gates" },
  "detect-local-mode": { paths: ["detectLocalMode"] },
  "pod-bridge-interface": { paths: ["detectLocal.bridgeInterface"] },
  "pod-interface-name-prefix": { paths: ["detectLocal.interfaceNamePrefix"] },
  // One flag for every mode; in a file each mode has its own.
  "masquerade-all": { paths: ["iptables.masqueradeAll", "nftables.masqueradeAll"], type: "boolean" },
  "iptables-masquerade-bit": { paths: ["iptables.masqueradeBit"] },
  "iptables-localhost-nodeports": { paths: ["iptables.localhostNodePorts"], type: "boolean" },
  "ipvs-scheduler": { paths: ["ipvs.scheduler"] },
  "ipvs-exclude-cidrs": { paths: ["ipvs.excludeCIDRs"], type: "list" },
  "ipvs-strict-arp": { paths: ["ipvs.strictARP"], type: "boolean" },
  "ipvs-tcp-timeout": { paths: ["ipvs.tcpTimeout"] },
  "ipvs-tcpfin-timeout": { paths: ["ipvs.tcpFinTimeout"] },
  "ipvs-udp-timeout": { paths: ["ipvs.udpTimeout"] },
  "conntrack-max-per-core": { paths: ["conntrack.maxPerCore"] },
  "conntrack-min": { paths: ["conntrack.min"] },
  "conntrack-tcp-timeout-established": { paths: ["conntrack.tcpEstablishedTimeout"] },
  "conntrack-tcp-timeout-close-wait": { paths: ["conntrack.tcpCloseWaitTimeout"] },
  "conntrack-tcp-be-liberal": { paths: ["conntrack.tcpBeLiberal"], type: "boolean" },
  "conntrack-udp-timeout": { paths: ["conntrack.udpTimeout"] },
  "conntrack-udp-timeout-stream": { paths: ["conntrack.udpStreamTimeout"] },
};

function put(settings: Settings, path: string, value: unknown): void {
  const [outer, inner] = path.split(".");
  if (inner === undefined) settings[path] = value;
  else settings[outer!] = { ...(settings[outer!] as Settings | undefined), [inner]: value };
}

function valueOf(text: string, type: "list" | "gates" | undefined): unknown {
  if (type === "list") return text.split(",").filter((each) => each !== "");
  if (type === undefined) return text;
  const gates = text.split(",").map((gate): [string, boolean] => {
    const [name = "", value = ""] = gate.split("=");
    return [name.trim(), isTrue(value.trim())];
  });
  return Object.fromEntries(gates);
}

function fromFlags(words: readonly string[]): Settings {
  const settings: Settings = {};
  for (const [name, { paths, type }] of Object.entries(FLAGS)) {
    const given = type === "boolean" ? switchOf(words, name) : flagOf(words, name);
    if (given === null) continue;
    const value = typeof given === "boolean" || type === "boolean" ? given : valueOf(given, type);
    for (const path of paths) put(settings, path, value);
  }
  return settings;
}

function fromFile(machine: Machine, path: string): Settings | null {
  const file = machine.file(path) ?? machine.file("kube-proxy.yaml");
  if (file === null) return null;
  const where = file.source.file;
  let value: unknown;
  try {
    value = parse(file.text);
  } catch (error) {
    throw new IntentError(`${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new IntentError(`${where}: a KubeProxyConfiguration was expected`);
  return value as Settings;
}

/**
 * What kube-proxy was told on this machine, and where that stands; null when it does not run there. With `--config` the file counts
 * and of the flags only `--hostname-override`, without it the flags alone (cmd/kube-proxy/app/options.go, Complete).
 * Throws IntentError when the file is no YAML object, or was not recorded.
 */
export function kubeProxySettings(machine: Machine): { settings: Settings; where: string } | null {
  const command = machine.command("kube-proxy");
  if (command === null) {
    const settings = fromFile(machine, "kube-proxy.yaml");
    return settings === null ? null : { settings, where: `kube-proxy.yaml of ${machine.name}` };
  }
  const { words, source } = command;
  if (switchOf(words, "cleanup") === true) return null;
  const path = flagOf(words, "config");
  const override = flagOf(words, "hostname-override");
  const named = override === null ? {} : { hostnameOverride: override };
  if (path === null || path === "") return { settings: { ...fromFlags(words), ...named }, where: source.file };
  const settings = fromFile(machine, path);
  if (settings === null)
    throw new IntentError(`${source.file}: kube-proxy reads ${path}, which was not recorded of ${machine.name}`);
  return { settings: { ...settings, ...named }, where: `${path} of ${machine.name}` };
}
