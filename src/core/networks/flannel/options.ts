/** How flanneld was started. */
import type { CommandLine } from "../site.ts";

/** flanneld's flags as far as they decide kernel state (flannel v0.28, main.go, init). */
export interface FlannelOptions {
  /** `-iface`: names or addresses, tried in order. */
  iface: string[];
  ifaceRegex: string[];
  publicIP: string | null;
  publicIPv6: string | null;
  ipMasq: boolean;
  ipMasqRandomFullyDisable: boolean;
  iptablesForwardRules: boolean;
  blackholeRoute: boolean;
  subnetFile: string;
  netConfPath: string;
  annotationPrefix: string;
}

/** Flags without a value, which the word after them does not belong to. */
const SWITCHES: ReadonlySet<string> = new Set([
  "version",
  "kube-subnet-mgr",
  "ip-masq",
  "ip-masq-fully-random-disable",
  "iptables-forward-rules",
  "ip-blackhole-route",
  "set-node-network-unavailable",
]);

/** Values by flag: Go's flag package takes `-name value`, `--name=value`, and `-name` alone for a switch. */
function flags(words: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  const add = (name: string, value: string): void => {
    const list = values.get(name);
    if (list === undefined) values.set(name, [value]);
    else list.push(value);
  };
  for (let i = 0; i < words.length; i++) {
    const parts = /^--?([^-=][^=]*)(?:=(.*))?$/.exec(words[i]!);
    if (parts === null) break;
    const name = parts[1]!;
    if (parts[2] !== undefined) add(name, parts[2]);
    else if (SWITCHES.has(name)) add(name, "true");
    else add(name, words[++i] ?? "");
  }
  return values;
}

/** strconv.ParseBool's words for true. */
const isTrue = (word: string): boolean => ["1", "t", "T", "true", "TRUE", "True"].includes(word);

/**
 * The options of flanneld's command line; of FLANNELD_NAME in its environment where the command line says nothing
 * (pkg/flagutil of coreos, SetFlagsFromEnv); else flanneld's defaults. `command` is null when it was not recorded.
 */
export function flannelOptions(command: CommandLine | null): FlannelOptions {
  const given = flags(command?.words ?? []);
  const all = (name: string): string[] => {
    const env = command?.env.get(`FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`);
    return given.get(name) ?? (env === undefined || env === "" ? [] : [env]);
  };
  const last = (name: string): string | null => all(name).at(-1) ?? null;
  const on = (name: string, unset: boolean): boolean => {
    const value = last(name);
    return value === null ? unset : isTrue(value);
  };
  return {
    iface: all("iface"),
    ifaceRegex: all("iface-regex"),
    publicIP: last("public-ip") || null,
    publicIPv6: last("public-ipv6") || null,
    ipMasq: on("ip-masq", false),
    ipMasqRandomFullyDisable: on("ip-masq-fully-random-disable", false),
    iptablesForwardRules: on("iptables-forward-rules", true),
    blackholeRoute: on("ip-blackhole-route", false),
    subnetFile: last("subnet-file") ?? "/run/flannel/subnet.env",
    netConfPath: last("net-config-path") ?? "/etc/kube-flannel/net-conf.json",
    annotationPrefix: last("kube-annotation-prefix") ?? "flannel.alpha.coreos.com",
  };
}
