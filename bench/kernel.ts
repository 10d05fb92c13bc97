/**
 * What the kernel's own first packet costs through the same rules: three namespaces in a row (client, router, server),
 * the rules of kube-proxy in the middle one, and UDP flows from the client through ClusterIPs of UDP Services.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { generateKubeProxyIptables, kubeProxyServices } from "./generate/kube-proxy-iptables.ts";
import { generateKubeProxyNft } from "./generate/kube-proxy-nft.ts";
import { quantiles, type Quantiles } from "./stats.ts";
import { rulesOptions, type ProxyMode } from "./world.ts";

/** Microseconds from before send() until the server's socket gave the datagram out. */
export interface KernelFigures {
  /** Through the rules, first datagram of a flow: conntrack, every hook, DNAT. */
  first: Quantiles;
  /** Its second datagram: the connection is there. */
  second: Quantiles;
  /** Straight to the endpoint through the same namespaces before any rule was loaded. */
  bare: Quantiles;
  flows: number;
}

const CLIENT_NET = "10.128.200";
const SERVER_NET = "10.128.201";
const ENDPOINT_PORT = 5353;

/** Why the kernel can't be measured here; null when it can. */
export function kernelUnavailable(): string | null {
  if (process.platform !== "linux") return "only Linux has namespaces";
  if (process.getuid?.() !== 0) return "needs root";
  for (const tool of ["ip", "nft", "iptables-nft-restore", "python3"]) {
    if (spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0) return `${tool} is not there`;
  }
  return null;
}

/** Namespaces that are gone when `use` is done, whatever comes of it. */
export function withNamespaces<T>(names: readonly string[], use: (full: readonly string[]) => T): T {
  const full = names.map((name) => `kwb-${process.pid}-${name}`);
  const remove = (): void => {
    for (const name of full) spawnSync("ip", ["netns", "del", name], { stdio: "ignore" });
  };
  const stop = (signal: NodeJS.Signals): void => {
    remove();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    for (const name of full) execFileSync("ip", ["netns", "add", name]);
    return use(full);
  } finally {
    remove();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

function wire(client: string, router: string, server: string): void {
  const batch = (ns: string, lines: readonly string[]): void => {
    execFileSync("ip", ["-n", ns, "-batch", "-"], { input: lines.map((l) => `${l}\n`).join("") });
  };
  batch(router, [
    "link set lo up",
    `link add c0 type veth peer name eth0 netns ${client}`,
    `link add s0 type veth peer name eth0 netns ${server}`,
    `addr add ${CLIENT_NET}.1/24 dev c0`,
    `addr add ${SERVER_NET}.1/24 dev s0`,
    "link set c0 up",
    "link set s0 up",
  ]);
  batch(client, [
    "link set lo up",
    `addr add ${CLIENT_NET}.2/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${CLIENT_NET}.1`,
  ]);
  // The server takes every endpoint's address.
  batch(server, [
    "link set lo up",
    `addr add ${SERVER_NET}.2/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${SERVER_NET}.1`,
    "route add local 10.128.0.0/20 dev lo",
  ]);
  batch(router, [`route add 10.128.0.0/20 via ${SERVER_NET}.2`]);
  execFileSync("ip", ["netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
}

/** The iptables rules less the one accounting match, whose object kube-proxy makes by another tool. */
export const loadable = (save: string): string => save.replace(/ -m nfacct --nfacct-name {2}\S+/, "");

function load(router: string, mode: ProxyMode, services: number): void {
  const [command, input] =
    mode === "iptables"
      ? [["iptables-nft-restore"], loadable(generateKubeProxyIptables(rulesOptions(services)))]
      : [["nft", "-f", "-"], generateKubeProxyNft(kubeProxyServices(rulesOptions(services)), `${CLIENT_NET}.1`).text];
  execFileSync("ip", ["netns", "exec", router, ...command], {
    input,
    stdio: ["pipe", "ignore", "inherit"],
    maxBuffer: 2 ** 30,
  });
}

interface Samples {
  first: number[];
  second: number[];
}

function probe(script: string, client: string, server: string, targets: readonly string[], flows: number): Samples {
  const out = execFileSync("python3", [script, client, server, String(ENDPOINT_PORT), String(flows)], {
    input: targets.join("\n"),
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(out.toString()) as Samples;
}

const micros = (ns: readonly number[]): Quantiles => quantiles(Float64Array.from(ns, (n) => n / 1000));

/** Loads the rules for `services` Services into a namespace and sends `flows` new flows through them. Throws when a command fails. */
export function measureKernel(mode: ProxyMode, services: number, flows: number, entry: string): KernelFigures {
  const script = join(dirname(entry), "kernel-probe.py");
  const udp = kubeProxyServices(rulesOptions(services)).filter((s) => s.protocol === "udp");
  return withNamespaces(["c", "r", "s"], ([client, router, server]) => {
    wire(client!, router!, server!);
    const direct = udp.flatMap((s) => s.endpoints.map((e) => `${e.ip} ${e.port}`));
    const bare = probe(script, client!, server!, direct, flows);
    load(router!, mode, services);
    const through = probe(
      script,
      client!,
      server!,
      udp.map((s) => `${s.clusterIP} ${s.port}`),
      flows,
    );
    return { first: micros(through.first), second: micros(through.second), bare: micros(bare.first), flows };
  });
}
