/** A site that exists on paper: machines for the Node objects, with the configuration that other objects bring. */
import { sha1 } from "@noble/hashes/legacy.js";
import { stringify } from "yaml";
import type { Node } from "../../model/cluster.ts";
import { ParseError } from "../../model/source.ts";
import { emptyCluster, parseClusterResource } from "../../parse/cluster.ts";
import { IntentError } from "../network.ts";
import type { CommandLine, Machine, MachineFile, OwnDevice, Sandbox, Site } from "../site.ts";
import { fillIn } from "./fill-in.ts";
import { resourceOf, type WrittenObject } from "./objects.ts";

const hex = (text: string): string =>
  [...sha1(new TextEncoder().encode(text))].map((each) => each.toString(16).padStart(2, "0")).join("");

/** A locally administered MAC address, the same for the same words. */
export function sha1Mac(words: string): string {
  return `02:${hex(words).slice(0, 10).match(/../g)?.join(":") ?? ""}`;
}

/** Objects of which no cluster knows: configuration of a node's own programs, by the file that it becomes. */
const PROGRAM_FILES: Record<string, string> = {
  KubeProxyConfiguration: "kube-proxy.yaml",
  KubeletConfiguration: "kubelet.yaml",
};

/** Entries of well-known ConfigMaps, and the file that a node has of them. */
const CONFIG_MAPS: Record<string, Record<string, string>> = {
  "kube-proxy": { "config.conf": "kube-proxy.yaml" },
  "kube-flannel-cfg": {
    "cni-conf.json": "/etc/cni/net.d/10-flannel.conflist",
    "net-conf.json": "/etc/kube-flannel/net-conf.json",
  },
  "calico-config": { cni_network_config: "/etc/cni/net.d/10-calico.conflist" },
};

function filesOf(objects: readonly WrittenObject[]): Map<string, MachineFile> {
  const files = new Map<string, MachineFile>();
  for (const { kind, name, value, file, line } of objects) {
    const program = PROGRAM_FILES[kind];
    if (program !== undefined) files.set(program, { text: stringify(value), source: { file, line } });
    const entries = kind === "ConfigMap" && Object.hasOwn(CONFIG_MAPS, name) ? CONFIG_MAPS[name] : undefined;
    const data = value["data"];
    if (entries === undefined || typeof data !== "object" || data === null) continue;
    for (const [key, path] of Object.entries(entries)) {
      const text = (data as Record<string, unknown>)[key];
      if (typeof text === "string") files.set(path, { text, source: { file, line } });
    }
  }
  return files;
}

/** How the network that is rendered was started, when no object tells. */
export interface Started {
  /** By program: `flanneld`, `kube-proxy`, `calico-felix`. */
  commands: Record<string, { env?: Record<string, string>; words?: string[] }>;
  /** Files that nodes have if no object brings them, by path. */
  files: Record<string, string>;
  /** Files that differ from node to node. */
  filesOf?: (node: Node) => Record<string, string>;
}

/**
 * The site of these objects. `started`: programs and files that every node has besides. Throws ParseError for an object that is not what
 * its kind says, IntentError when there is no Node or one has no address.
 */
export function siteFromObjects(written: readonly WrittenObject[], started: Started): Site {
  const objects = fillIn(written);
  const cluster = emptyCluster();
  const byResource = new Map<string, WrittenObject[]>();
  for (const object of objects) {
    if (PROGRAM_FILES[object.kind] !== undefined) continue;
    const resource = resourceOf(object);
    byResource.set(resource, [...(byResource.get(resource) ?? []), object]);
  }
  for (const [resource, list] of byResource) {
    const json = (items: readonly WrittenObject[]): string =>
      JSON.stringify({ kind: `${items[0]?.kind ?? ""}List`, items: items.map((each) => each.value) });
    for (const each of list) {
      try {
        parseClusterResource(json([each]), each.file, resource, emptyCluster());
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
        const what = `${each.kind} ${each.namespace === "" ? "" : `${each.namespace}/`}${each.name}`;
        throw new ParseError(
          { file: each.file, line: each.line },
          `${what}: ${error.message.replace(/^\S+:\d+: /, "")}`,
        );
      }
    }
    parseClusterResource(json(list), list[0]?.file ?? "", resource, cluster);
  }
  if (cluster.nodes.length === 0)
    throw new IntentError("the objects hold no Node: without one there is no place to program");
  const files = filesOf(objects);
  for (const [path, text] of Object.entries(started.files))
    if (!files.has(path)) files.set(path, { text, source: { file: path, line: 1 } });
  const machines = cluster.nodes.map((node): Machine => {
    const addresses = node.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address);
    if (addresses.length === 0) throw new IntentError(`Node ${node.name} has no InternalIP in status.addresses`);
    const uplink: OwnDevice = {
      index: 2,
      name: "eth0",
      mac: sha1Mac(`${node.name} eth0`),
      mtu: 1500,
      addresses: addresses.map((each) => `${each}/${each.includes(":") ? 64 : 24}`),
    };
    const sandboxes = cluster.pods
      .filter((pod) => pod.node === node.name && !pod.hostNetwork && pod.ips.length > 0)
      .map((pod, i): Sandbox => {
        const id = `${pod.namespace}.${pod.name}`;
        return {
          place: `${node.name}/pod/${pod.namespace}/${pod.name}`,
          pod: { namespace: pod.namespace, name: pod.name },
          path: null,
          device: { index: 2, name: "eth0", mac: sha1Mac(`${id} eth0`) },
          hostDevice: { index: 10 + i, name: `veth${hex(id).slice(0, 8)}`, mac: sha1Mac(`${id} host`) },
        };
      });
    const own = new Map(files);
    for (const [path, text] of Object.entries(started.filesOf?.(node) ?? {}))
      if (!own.has(path)) own.set(path, { text, source: { file: path, line: 1 } });
    return {
      name: node.name,
      place: `${node.name}/host`,
      node,
      devices: [uplink],
      sandboxes,
      macOf: (device) => (device === "eth0" ? uplink.mac : sha1Mac(`${node.name} ${device}`)),
      command(program): CommandLine | null {
        const command = Object.hasOwn(started.commands, program) ? started.commands[program] : undefined;
        return command === undefined
          ? null
          : {
              env: new Map(Object.entries({ NODE_NAME: node.name, NODENAME: node.name, ...command.env })),
              program,
              words: command.words ?? [],
              source: { file: program, line: 1 },
            };
      },
      file: (path) => own.get(path) ?? null,
      files: (prefix) => [...own.keys()].filter((path) => path.startsWith(prefix)).toSorted(),
    };
  });
  return { cluster, machines };
}
