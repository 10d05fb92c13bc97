/** kube-proxy's settings as they were given: the configuration file, or flags in the file's own shape. */
import { parse } from "yaml";
import { IntentError } from "../network.ts";
import type { CommandLine, Machine } from "../site.ts";

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

/** Flags that take no value of their own in the next word, besides the Boolean ones above. */
const SWITCHES = new Set([
  "cleanup",
  "init-only",
  "profiling",
  "bind-address-hard-fail",
  "help",
  "version",
  "logtostderr",
  "alsologtostderr",
]);

/** The flags of a command line by name; the last of several wins, as with pflag. */
export function flagsOf(command: CommandLine): Map<string, string> {
  const flags = new Map<string, string>();
  for (let at = 0; at < command.words.length; at++) {
    const match = /^--?([^=]+)(?:=(.*))?$/.exec(command.words[at] ?? "");
    if (match === null) continue;
    const name = match[1]!.replaceAll("_", "-");
    if (match[2] !== undefined) flags.set(name, match[2]);
    // What is followed by another flag needs no value; of those that are, the switches that are known do not take the next word.
    else if (FLAGS[name]?.type === "boolean" || SWITCHES.has(name) || (command.words[at + 1] ?? "--").startsWith("--"))
      flags.set(name, "true");
    else flags.set(name, command.words[++at] ?? "");
  }
  return flags;
}

function put(settings: Settings, path: string, value: unknown): void {
  const [outer, inner] = path.split(".");
  if (inner === undefined) settings[path] = value;
  else settings[outer!] = { ...(settings[outer!] as Settings | undefined), [inner]: value };
}

function fromFlags(flags: ReadonlyMap<string, string>): Settings {
  const settings: Settings = {};
  for (const [name, text] of flags) {
    const flag = FLAGS[name];
    if (flag === undefined) continue;
    const value =
      flag.type === "boolean"
        ? /^(1|t|true)$/i.test(text)
        : flag.type === "list"
          ? text.split(",").filter((each) => each !== "")
          : flag.type === "gates"
            ? Object.fromEntries(text.split(",").map((gate) => [gate.split("=")[0], /=\s*(1|t|true)$/i.test(gate)]))
            : text;
    for (const path of flag.paths) put(settings, path, value);
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
  const flags = flagsOf(command);
  if (flags.get("cleanup") === "true") return null;
  const path = flags.get("config");
  const override = flags.get("hostname-override");
  const named = override === undefined ? {} : { hostnameOverride: override };
  if (path === undefined || path === "")
    return { settings: { ...fromFlags(flags), ...named }, where: command.source.file };
  const settings = fromFile(machine, path);
  if (settings === null)
    throw new IntentError(
      `${command.source.file}: kube-proxy reads ${path}, which was not recorded of ${machine.name}`,
    );
  return { settings: { ...settings, ...named }, where: `${path} of ${machine.name}` };
}
