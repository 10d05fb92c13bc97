/** cilium-agent's settings: the ConfigMap cilium-config, files of --config-dir, flags, in the order of precedence of the agent. */
import { allFlags, flagOf } from "../flags.ts";
import { IntentError } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { mapAt, textAt } from "../raw-paths.ts";

export interface CiliumConfig {
  ipv4: boolean;
  ipv6: boolean;
  /** Null: native routing. */
  tunnel: { protocol: "vxlan" | "geneve"; port: number } | null;
  /** Routes to other nodes' pods by the nodes' own addresses. */
  autoDirectNodeRoutes: boolean;
  /** A route of its own for every pod of the node. */
  endpointRoutes: boolean;
  /** Route to the node's own pods over cilium_host. */
  localNodeRoute: boolean;
  nativeRoutingCidr4: string | null;
  nativeRoutingCidr6: string | null;
  masquerade4: boolean;
  masquerade6: boolean;
  /** Masquerading by BPF instead of iptables. */
  bpfMasquerade: boolean;
  masqueradeInterfaces: string[];
  randomFully: boolean;
  iptablesRules: boolean;
  /** Feeder rules first in their chains. */
  prependChains: boolean;
  /** Hooks without a feeder rule, upper case. */
  disabledFeeders: string[];
  l7Proxy: boolean;
  envoyConfig: boolean;
  bpfTproxy: boolean;
  ipsec: boolean;
  wireguard: boolean;
  noConntrackRules: boolean;
  /** Services of every kind in BPF. */
  kubeProxyReplacement: boolean;
  /** Null: that of the uplink. */
  mtu: number | null;
  routeMetric: number;
  /** default, always, never. */
  policy: string;
  /** auto, always, policy: whether a node's own host may always reach its pods. */
  allowLocalhost: string;
  healthEndpoint: boolean;
}

const VXLAN_PORT = 8472;
const GENEVE_PORT = 6081;

/** Folder that the agent's pod has its ConfigMap in, when a machine's files hold it. */
const CONFIG_DIR = "/tmp/cilium/config-map/";

/** Settings as they stand, by name without dashes in front. Null when the agent does not run here. */
function settings(site: Site, machine: Machine): Map<string, string> | null {
  const command = machine.command("cilium-agent");
  const map = site.cluster.raw.get("configmaps")?.find((each) => textAt(each, "metadata", "name") === "cilium-config");
  const known = site.cluster.raw
    .get("ciliumnodes.cilium.io")
    ?.some((each) => textAt(each, "metadata", "name") === machine.name);
  if (command === null && known !== true) return null;
  const found = new Map<string, string>(map === undefined ? [] : mapAt(map, "data"));
  const words = command?.words ?? [];
  const dir = flagOf(words, "config-dir");
  const folder = dir === null ? CONFIG_DIR : `${dir.replace(/\/$/, "")}/`;
  for (const path of machine.files(folder)) {
    const name = path.slice(folder.length);
    // Kubernetes mounts each file a second time below ..data.
    if (!name.includes("/") && !name.startsWith("..")) found.set(name, machine.file(path)?.text.trim() ?? "");
  }
  for (const [name, value] of allFlags(words)) found.set(name, value);
  return found;
}

/** The tunnel, by today's settings or by `tunnel` of releases before 1.14. */
function tunnelOf(get: (name: string) => string | undefined): CiliumConfig["tunnel"] {
  const old = get("tunnel");
  const mode = get("routing-mode") ?? (old === "disabled" ? "native" : "tunnel");
  if (mode === "native") return null;
  if (mode !== "tunnel") throw new IntentError(`cilium-config: routing-mode should be native or tunnel, not ${mode}`);
  const protocol = get("tunnel-protocol") ?? old ?? "vxlan";
  if (protocol !== "vxlan" && protocol !== "geneve")
    throw new IntentError(`cilium-config: tunnel-protocol should be vxlan or geneve, not ${protocol}`);
  const port = Number(get("tunnel-port") ?? 0);
  return { protocol, port: port > 0 ? port : protocol === "vxlan" ? VXLAN_PORT : GENEVE_PORT };
}

/** Words of a setting that lists several. */
const words = (text: string | undefined): string[] => (text ?? "").split(/[\s,]+/).filter((word) => word !== "");

/**
 * The agent's settings on this machine, with the agent's own defaults (pkg/option/config.go); null when it does not run there.
 * Throws IntentError when the routing mode or the tunnel is none that Cilium has.
 */
export function ciliumConfig(site: Site, machine: Machine): CiliumConfig | null {
  const found = settings(site, machine);
  if (found === null) return null;
  const get = (name: string): string | undefined => found.get(name);
  const on = (name: string, fallback: boolean): boolean => (get(name) ?? String(fallback)) === "true";
  const cidr = (name: string): string | null => get(name) || null;
  const endpointRoutes = on("enable-endpoint-routes", false);
  return {
    ipv4: on("enable-ipv4", true),
    ipv6: on("enable-ipv6", true),
    tunnel: tunnelOf(get),
    autoDirectNodeRoutes: on("auto-direct-node-routes", false),
    endpointRoutes,
    // With a route for each pod the route for all of them is taken away (daemon/cmd/daemon_main.go).
    localNodeRoute: on("enable-local-node-route", true) && !endpointRoutes,
    nativeRoutingCidr4: cidr("ipv4-native-routing-cidr") ?? cidr("native-routing-cidr"),
    nativeRoutingCidr6: cidr("ipv6-native-routing-cidr"),
    masquerade4: on("enable-ipv4-masquerade", on("masquerade", true)),
    masquerade6: on("enable-ipv6-masquerade", true),
    bpfMasquerade: on("enable-bpf-masquerade", false),
    masqueradeInterfaces: words(get("egress-masquerade-interfaces")),
    randomFully: on("iptables-random-fully", false),
    iptablesRules: on("install-iptables-rules", true),
    prependChains: on("prepend-iptables-chains", true),
    disabledFeeders: words(get("disable-iptables-feeder-rules")).map((word) => word.toUpperCase()),
    l7Proxy: on("enable-l7-proxy", true),
    envoyConfig: on("enable-envoy-config", false),
    bpfTproxy: on("enable-bpf-tproxy", false),
    ipsec: on("enable-ipsec", false),
    wireguard: on("enable-wireguard", false),
    noConntrackRules: on("install-no-conntrack-iptables-rules", false),
    kubeProxyReplacement: ["true", "strict"].includes(get("kube-proxy-replacement") ?? "false"),
    mtu: Number(get("mtu") ?? 0) > 0 ? Number(get("mtu")) : null,
    routeMetric: Number(get("route-metric") ?? 0) || 0,
    policy: get("enable-policy") ?? "default",
    allowLocalhost: get("allow-localhost") ?? "auto",
    healthEndpoint: on("enable-health-checking", true) && on("enable-endpoint-health-checking", true),
  };
}
