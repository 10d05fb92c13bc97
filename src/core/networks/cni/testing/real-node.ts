/** For tests: a node made of namespaces, with pods that the real plugins attach, recorded as a snapshot. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Snapshot } from "../../../model/snapshot.ts";
import { loadTexts } from "./compare.ts";
import { inside, run, withNamespaces } from "./namespaces.ts";

/** Where the plugins are: CNI_PATH, else where Debian's package containernetworking-plugins puts them. */
export const PLUGINS = process.env["CNI_PATH"] ?? "/usr/lib/cni";

/** Versions of CNI that a plugin speaks: those that speak 1.1.0 (from v1.6 on) know nftables, too. */
export function versionsOf(plugin: string): string[] {
  const text = run(join(PLUGINS, plugin), [], JSON.stringify({ cniVersion: "1.0.0" }), { CNI_COMMAND: "VERSION" });
  return (JSON.parse(text) as { supportedVersions: string[] }).supportedVersions;
}

export interface RealPort {
  hostPort: number;
  containerPort: number;
  protocol: string;
  hostIP?: string;
}

export interface RealPod {
  name: string;
  ports?: RealPort[];
}

type Conf = Record<string, unknown>;

/** Commands whose output a snapshot holds. */
const COMMANDS: Record<string, [string, ...string[]]> = {
  "addr.json": ["ip", "-j", "-d", "addr"],
  "route4.json": ["ip", "-j", "-d", "-4", "route", "show", "table", "all"],
  "route6.json": ["ip", "-j", "-d", "-6", "route", "show", "table", "all"],
  "rule4.json": ["ip", "-j", "-4", "rule"],
  "rule6.json": ["ip", "-j", "-6", "rule"],
  "neigh.json": ["ip", "-j", "neigh", "show", "nud", "all"],
  "fdb.json": ["bridge", "-j", "-d", "fdb"],
  "bridge-link.json": ["bridge", "-j", "-d", "link"],
  "iptables-save.txt": ["iptables-save", "-c"],
  "ip6tables-save.txt": ["ip6tables-save", "-c"],
  "nft.json": ["nft", "-j", "-a", "list", "ruleset"],
  "nft.txt": ["nft", "-a", "list", "ruleset"],
  "sysctl.txt": ["sysctl", "-a", "-r", "^net"],
};

function record(files: Map<string, string>, name: string, folder: string): void {
  for (const [file, [program, ...args]] of Object.entries(COMMANDS))
    files.set(`${folder}/${file}`, inside(name, program, args));
}

interface Result {
  ips?: { address: string }[];
}

/** ADD of every plugin of the list for one pod, as a runtime calls them; gives the pod's addresses. */
function attach(host: string, pod: string, id: string, list: Conf, ports: readonly RealPort[]): string[] {
  const env = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: id,
    CNI_NETNS: `/run/netns/${pod}`,
    CNI_IFNAME: "eth0",
    CNI_PATH: PLUGINS,
  };
  const call = (type: string, conf: Conf, extra: Record<string, string> = {}): Result =>
    JSON.parse(inside(host, join(PLUGINS, type), [], JSON.stringify(conf), { ...env, ...extra })) as Result;
  const common = { name: list["name"], cniVersion: list["cniVersion"] };
  call("loopback", { ...common, type: "loopback" }, { CNI_IFNAME: "lo" });
  let prevResult: Result | undefined;
  for (const plugin of list["plugins"] as Conf[]) {
    const { capabilities, ...conf } = plugin;
    const takes = (capabilities as { portMappings?: boolean } | undefined)?.portMappings === true;
    prevResult = call(String(plugin["type"]), {
      ...conf,
      ...common,
      ...(prevResult !== undefined && { prevResult }),
      ...(takes && ports.length > 0 && { runtimeConfig: { portMappings: ports } }),
    });
  }
  return (prevResult?.ips ?? []).map((each) => each.address.split("/", 1)[0] ?? "");
}

function podObject(name: string, ips: readonly string[], ports: readonly RealPort[]): Conf {
  return {
    metadata: { namespace: "shop", name },
    spec: {
      nodeName: "n1",
      containers: [{ name: "c", ports: ports.map((each) => ({ ...each, protocol: each.protocol.toUpperCase() })) }],
    },
    status: { phase: "Running", podIPs: ips.map((ip) => ({ ip })) },
  };
}

const list = (kind: string, items: Conf[]): string => JSON.stringify({ apiVersion: "v1", kind, items }, null, 1);

/**
 * A node `n1` with the uplink eth0 (192.0.2.11), whose pods are attached by the plugins of `conflist`; host-local keeps its files in a
 * folder of the test's. Everything is gone when `work` has seen the snapshot.
 */
export async function withRealNode<T>(
  conflist: (dataDir: string) => Conf,
  pods: readonly RealPod[],
  work: (snapshot: Snapshot) => T,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), "kwtest-"));
  try {
    return await withNamespaces(pods.length + 1, ([host = "", ...names]) => {
      for (const args of [
        ["link", "set", "lo", "up"],
        ["link", "add", "eth0", "type", "veth", "peer", "name", "far0"],
        ["addr", "add", "192.0.2.11/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["link", "set", "far0", "up"],
      ])
        run("ip", ["-n", host, ...args]);
      const conf = conflist(dataDir);
      const objects = pods.map(({ name, ports = [] }, i) =>
        podObject(name, attach(host, names[i] ?? "", String(i + 1).repeat(64), conf, ports), ports),
      );
      const files = new Map<string, string>([
        [
          "snapshot.json",
          JSON.stringify({ format: "kubewalk.snapshot/v1", takenAt: "2026-01-01T00:00:00Z", nodes: ["n1"] }),
        ],
        ["cluster/pods.json", list("PodList", objects)],
        [
          "cluster/nodes.json",
          list("NodeList", [
            {
              metadata: { name: "n1" },
              spec: {},
              status: { addresses: [{ type: "InternalIP", address: "192.0.2.11" }] },
            },
          ]),
        ],
        ["nodes/n1/files/etc/cni/net.d/10-test.conflist", JSON.stringify(conf)],
      ]);
      for (const folder of readdirSync(dataDir))
        for (const file of readdirSync(join(dataDir, folder)))
          files.set(`nodes/n1/files${dataDir}/${folder}/${file}`, readFileSync(join(dataDir, folder, file), "utf8"));
      record(files, host, "nodes/n1/host");
      pods.forEach(({ name }, i) => {
        const inode = statSync(`/run/netns/${names[i]}`).ino;
        const folder = `nodes/n1/netns/${inode}`;
        const path = `/run/netns/cni-${i}`;
        files.set(`${folder}/netns.json`, JSON.stringify({ inode, pid: null, path, pod: { namespace: "shop", name } }));
        record(files, names[i] ?? "", folder);
      });
      return work(loadTexts(files));
    });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
