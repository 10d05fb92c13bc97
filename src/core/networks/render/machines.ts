/** Machines that exist on paper: one for each Node, with the configuration that other objects bring, and those of kind Machine. */
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { parseIp, parsePrefix } from "../../model/address.ts";
import type { Cluster, Node, Pod } from "../../model/cluster.ts";
import { cniNetworkOf } from "../cni/conflist.ts";
import type { CommandLine, Machine, MachineFile, OwnDevice, Sandbox } from "../site.ts";
import type { WrittenObject } from "./objects.ts";
import { specOf, type FieldReader } from "./own-kinds.ts";

const digits = (bytes: Uint8Array): string => [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");

/** SHA-1 in hexadecimal. */
export const hex = (text: string): string => digits(sha1(new TextEncoder().encode(text)));

/** A locally administered MAC address, the same for the same words. */
export function sha1Mac(words: string): string {
  return `02:${hex(words).slice(0, 10).match(/../g)?.join(":") ?? ""}`;
}

/** A route of a machine's own, as its administrator set it. */
export interface OwnRoute {
  /** `0.0.0.0/0`, `::/0`. */
  dst: string;
  via: string | null;
  dev: string;
}

/** What an object of kind Machine says. */
export interface Described {
  name: string;
  devices: OwnDevice[];
  routes: OwnRoute[];
  commands: Map<string, CommandLine>;
  files: Map<string, MachineFile>;
}

/** How the network that is rendered was started, when no object tells. */
export interface Started {
  /** By program: `flanneld`, `kube-proxy`, `calico-felix`. Flags that a Machine has for it stand in place of these. */
  commands: Record<string, { env?: Record<string, string>; words?: string[] }>;
  /** Files that nodes have if no object brings them, by path. */
  files: Record<string, string>;
  /** Files that differ from node to node. */
  filesOf?: (node: Node, described: Described) => Record<string, string>;
  /** Name of a pod's device on its host; `veth` and a hash when not said. */
  hostDevice?: (pod: Pod) => string;
}

function device(reader: FieldReader, owner: string, index: number): OwnDevice {
  reader.only("name", "mtu", "mac", "addresses");
  const name = reader.required("name");
  for (const address of reader.texts("addresses"))
    if (parsePrefix(address) === null || !address.includes("/"))
      throw reader.error("addresses", `should be addresses with lengths such as 172.30.0.11/24, not ${address}`);
  return {
    index,
    name,
    mac: reader.text("mac") ?? sha1Mac(`${owner} ${name}`),
    mtu: reader.integer("mtu") ?? 1500,
    addresses: reader.texts("addresses"),
  };
}

function route(reader: FieldReader, devices: readonly OwnDevice[]): OwnRoute {
  reader.only("to", "via", "dev");
  const via = reader.parsed("via", "an address", (text) => (parseIp(text) === null ? null : text));
  const to = reader.required("to");
  const everywhere = via?.includes(":") === true ? "::/0" : "0.0.0.0/0";
  if (to !== "default" && parsePrefix(to) === null)
    throw reader.error("to", `should be a network or default, not ${to}`);
  const dev = reader.text("dev") ?? devices[0]?.name;
  if (dev === undefined) throw reader.error("dev", "is missing");
  return { dst: to === "default" ? everywhere : to, via, dev };
}

/** `env A=B program -flag value`, or the words behind the program's name alone. */
function commandLine(program: string, text: string, file: string, line: number): CommandLine {
  const words = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "");
  const env = new Map<string, string>();
  if (words[0] === "env") words.shift();
  for (let word = words[0]; word !== undefined && /^[A-Za-z_]\w*=/.test(word); word = words[0]) {
    env.set(word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1));
    words.shift();
  }
  if (words[0] !== undefined && !words[0].startsWith("-")) words.shift();
  return { env, program, words, source: { file, line } };
}

/** Reads an object of kind Machine. Throws ParseError. */
export function readMachine(object: WrittenObject): Described {
  const spec = specOf(object).only("devices", "routes", "commands", "files");
  const { file, name } = object;
  const devices = spec.each("devices").map((each, i) => device(each, name, i + 2));
  const at = (...path: string[]): number => object.lineOf(["spec", ...path]);
  return {
    name,
    devices,
    routes: spec.each("routes").map((each) => route(each, devices)),
    commands: new Map(
      Array.from(spec.map("commands"), ([program, text]) => [
        program,
        commandLine(program, text, file, at("commands", program)),
      ]),
    ),
    files: new Map(
      Array.from(spec.map("files"), ([path, text]) => [path, { text, source: { file, line: at("files", path) } }]),
    ),
  };
}

/** What a node has when no Machine tells: one device with its addresses, in networks of the usual size, and a router there. */
export function usualMachine(node: Node): Described {
  const addresses = node.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address);
  const lengths = addresses.map((each) => `${each}/${each.includes(":") ? 64 : 24}`);
  const mac = sha1Mac(`${node.name} eth0`);
  const gateways = addresses.flatMap((each): OwnRoute[] => {
    const via = each.includes(":") ? each.replace(/[^:]+$/, "1") : each.replace(/\d+$/, "1");
    return via === each ? [] : [{ dst: each.includes(":") ? "::/0" : "0.0.0.0/0", via, dev: "eth0" }];
  });
  return {
    name: node.name,
    devices: [{ index: 2, name: "eth0", mac, mtu: 1500, addresses: lengths }],
    routes: gateways,
    commands: new Map(),
    files: new Map(),
  };
}

function sandboxesOf(node: Node, cluster: Cluster, hostDevice: NonNullable<Started["hostDevice"]>): Sandbox[] {
  return cluster.pods
    .filter((pod) => pod.node === node.name && !pod.hostNetwork && pod.ips.length > 0)
    .map((pod, i) => {
      const id = `${pod.namespace}.${pod.name}`;
      return {
        place: `${node.name}/pod/${pod.namespace}/${pod.name}`,
        pod: { namespace: pod.namespace, name: pod.name },
        path: null,
        device: { index: 2, name: "eth0", mac: sha1Mac(`${id} eth0`) },
        hostDevice: { index: 10 + i, name: hostDevice(pod), mac: sha1Mac(`${id} host`) },
      };
    });
}

/** Name of a pod's device on its host, as the bridge plugin draws them: `veth` and eight hexadecimal digits. */
export const vethOf = (pod: Pick<Pod, "namespace" | "name">): string =>
  `veth${hex(`${pod.namespace}.${pod.name}`).slice(0, 8)}`;

/**
 * What libcni keeps of each ADD (libcni, cacheAdd): it tells the ids of pods' sandboxes, which name chains. On paper an id is a hash of
 * the pod's name.
 */
function resultFiles(machine: Machine): [string, MachineFile][] {
  const network = cniNetworkOf(machine)?.name;
  if (network === undefined) return [];
  return machine.sandboxes.map(({ pod: { namespace, name } }) => {
    const containerId = digits(sha256(new TextEncoder().encode(`${namespace}.${name}`)));
    const cniArgs = [
      ["K8S_POD_NAMESPACE", namespace],
      ["K8S_POD_NAME", name],
    ];
    const path = `/var/lib/cni/results/${network}-${containerId}-eth0`;
    const text = JSON.stringify({ kind: "cniCacheV1", containerId, networkName: network, ifName: "eth0", cniArgs });
    return [path, { text, source: { file: path, line: 1 } }];
  });
}

/** A machine of these devices, with its pods when it is a node. `files` are those that every node has. */
export function machineOf(
  described: Described,
  node: Node | null,
  cluster: Cluster,
  files: ReadonlyMap<string, MachineFile>,
  started: Started,
): Machine {
  const { name, devices } = described;
  const own = new Map(node === null ? [] : files);
  const usual = node === null ? {} : { ...started.files, ...started.filesOf?.(node, described) };
  for (const [path, text] of Object.entries(usual))
    if (!own.has(path)) own.set(path, { text, source: { file: path, line: 1 } });
  for (const [path, file] of described.files) own.set(path, file);
  const machine: Machine = {
    name,
    place: `${name}/host`,
    node,
    devices,
    sandboxes: node === null ? [] : sandboxesOf(node, cluster, started.hostDevice ?? vethOf),
    macOf: (dev) => devices.find((each) => each.name === dev)?.mac ?? sha1Mac(`${name} ${dev}`),
    command(program): CommandLine | null {
      const command = node !== null && Object.hasOwn(started.commands, program) ? started.commands[program] : undefined;
      const given = described.commands.get(program);
      if (given === undefined && command === undefined) return null;
      return {
        env: new Map([...Object.entries({ NODE_NAME: name, NODENAME: name, ...command?.env }), ...(given?.env ?? [])]),
        program,
        words: given?.words ?? command?.words ?? [],
        source: given?.source ?? { file: program, line: 1 },
      };
    },
    file: (path) => own.get(path) ?? null,
    files: (prefix) => [...own.keys()].filter((path) => path.startsWith(prefix)).toSorted(),
  };
  for (const [path, file] of resultFiles(machine)) own.set(path, file);
  return machine;
}
