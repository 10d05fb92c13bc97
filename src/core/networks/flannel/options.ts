/** How flanneld was started. */
import { flagValues, isTrue, switchOf, wordsOfFlags } from "../flags.ts";
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

/**
 * The options of flanneld's command line; of FLANNELD_NAME in its environment where the command line says nothing
 * (pkg/flagutil of coreos, SetFlagsFromEnv); else flanneld's defaults. `command` is null when it was not recorded.
 */
export function flannelOptions(command: CommandLine | null): FlannelOptions {
  const words = wordsOfFlags(command?.words ?? [], SWITCHES);
  const inEnvironment = (name: string): string | null =>
    command?.env.get(`FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`) || null;
  const all = (name: string): string[] => {
    const given = flagValues(words, name);
    const env = inEnvironment(name);
    return given.length > 0 || env === null ? given : [env];
  };
  const last = (name: string): string | null => all(name).at(-1) ?? null;
  const on = (name: string, unset: boolean): boolean => {
    const env = inEnvironment(name);
    return switchOf(words, name) ?? (env === null ? unset : isTrue(env));
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
