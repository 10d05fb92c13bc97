/** Which addresses each node gets, and why: kubelet's choice, Calico's, OpenShift's. */
import { ip4, parseIp, parsePrefix, prefixOf } from "../../model/address.ts";
import { calicoAddress } from "../node-ip/calico.ts";
import type { HostView, ViewAddress, ViewRoute } from "../node-ip/host-view.ts";
import { nodeAddressesOf } from "../node-ip/of-machine.ts";
import { runtimecfgAddresses } from "../node-ip/runtimecfg.ts";
import { IntentError } from "../network.ts";
import type { Machine } from "../site.ts";
import { clusterOf } from "./cluster-of.ts";
import { internalIps } from "./fill-in.ts";
import { machineOf, readMachine, usualMachine, type Described } from "./machines.ts";
import { errorOf, type WrittenObject } from "./objects.ts";
import { ownObjects, specOf } from "./own-kinds.ts";
import { renderedMachine, type RenderedNote, type Renderer } from "./renderer.ts";

const MODES = ["kubelet", "calico", "openshift"] as const;

function addressOf(text: string): ViewAddress[] {
  const [host = "", length = ""] = text.split("/");
  const ip = parseIp(host);
  return ip === null ? [] : [{ ip, prefixLen: Number(length), deprecated: false, tentative: false, label: null }];
}

/** The machine's devices and routes as programs see them: lo first, connected routes before those that were set. */
function viewOf({ devices, routes }: Described): HostView {
  const lo = { index: 1, name: "lo", up: true, loopback: true, addresses: [] as ViewAddress[] };
  lo.addresses.push({ ip: ip4(0x7f00_0001), prefixLen: 8, deprecated: false, tentative: false, label: null });
  const connected = devices.flatMap((device) =>
    device.addresses.flatMap(addressOf).map(({ ip, prefixLen }): ViewRoute => ({
      dst: prefixOf(ip, prefixLen),
      dev: device.name,
      gateway: null,
      prefSrc: ip,
      metric: 0,
      protocol: "kernel",
    })),
  );
  const own = routes.flatMap(({ dst, via, dev }): ViewRoute[] => {
    const prefix = parsePrefix(dst);
    const gateway = via === null ? null : parseIp(via);
    return prefix === null ? [] : [{ dst: prefix, dev, gateway, prefSrc: null, metric: 0, protocol: "static" }];
  });
  return {
    links: [
      lo,
      ...devices.map((device) => ({
        index: device.index,
        name: device.name,
        up: true,
        loopback: false,
        addresses: device.addresses.flatMap(addressOf),
      })),
    ],
    routes: [...connected, ...own],
  };
}

function byKubelet(machine: Machine, view: HostView): string[] {
  const choice = nodeAddressesOf(machine, view);
  if (choice === null) return [];
  return [
    ...choice.warnings,
    ...(choice.error === null ? [] : [`kubelet fails: ${choice.error}`]),
    ...choice.addresses.map(({ type, address, because }) => `${type} ${address}: ${because}`),
    ...(choice.annotation === null ? [] : [`annotation alpha.kubernetes.io/provided-node-ip: ${choice.annotation}`]),
  ];
}

function byCalico(machine: Machine, view: HostView): string[] {
  const env = machine.command("calico-node")?.env;
  const internal = machine.node?.addresses.filter((each) => each.type === "InternalIP").map((each) => each.address);
  return ([4, 6] as const).flatMap((version) => {
    const name = version === 4 ? "IP_AUTODETECTION_METHOD" : "IP6_AUTODETECTION_METHOD";
    // Of IPv6 calico-node finds an address only when it is told to (IP6=autodetect).
    if (version === 6 && env?.get("IP6") !== "autodetect" && env?.has(name) !== true) return [];
    const found = calicoAddress({ method: env?.get(name) ?? "", version, internalIps: internal ?? null }, view);
    return [found.cidr === null ? found.error : `IPv${version} ${found.cidr}: ${found.because}`];
  });
}

function byOpenShift(view: HostView, vips: readonly string[]): string[] {
  const choice = runtimecfgAddresses(
    { vips, preferIpv6: false, networkType: "OVNKubernetes", platform: "baremetal", userManagedLb: false },
    view,
  );
  return [
    ...(choice.error === null ? [] : [choice.error]),
    ...choice.addresses.map(({ address, because }) => `--node-ip ${address}: ${because}`),
    ...(choice.remoteWorker ? ["a remote worker: keepalived does not run here"] : []),
  ];
}

/** Machines of the objects: those of kind Machine, and Nodes that have an address. */
function machinesOf(objects: readonly WrittenObject[]): { described: Described; machine: Machine }[] {
  const written = ownObjects(objects, "Machine").map(readMachine);
  const cluster = clusterOf(objects);
  const nodes = new Map(cluster.nodes.map((node) => [node.name, node]));
  for (const object of objects)
    if (object.kind === "Node" && internalIps(object).length === 0 && !written.some(({ name }) => name === object.name))
      throw errorOf(object, "has no InternalIP, and no Machine of its name says what devices it has");
  const usual = cluster.nodes.filter((node) => !written.some(({ name }) => name === node.name)).map(usualMachine);
  return [...usual, ...written].map((described) => {
    // A machine without a Node object is one that is about to join.
    const node = nodes.get(described.name) ?? {
      namespace: "",
      name: described.name,
      labels: {},
      annotations: {},
      source: { file: described.name, line: 1 },
      addresses: [],
      podCIDRs: [],
    };
    const started = { commands: { kubelet: {}, "calico-node": {} }, files: {} };
    return { described, machine: machineOf(described, node, cluster, new Map(), started) };
  });
}

export const nodeIpRenderer: Renderer = {
  name: "node-ip",
  about: "Which addresses each node gets and why, by kubelet, Calico or OpenShift",
  modes: MODES,
  render(objects, { mode }) {
    const machines = machinesOf(objects);
    if (machines.length === 0) throw new IntentError("the objects hold neither a Node nor a Machine");
    const vips = ownObjects(objects, "VirtualIP").flatMap((each) => {
      const spec = specOf(each);
      return [spec.text("vip"), spec.text("ingressVip")].filter((vip) => vip !== null);
    });
    const by = mode ?? MODES[0];
    return {
      claims: [],
      files: [],
      notes: machines.map(({ described, machine }): RenderedNote => {
        const view = viewOf(described);
        const lines =
          by === "kubelet"
            ? byKubelet(machine, view)
            : by === "calico"
              ? byCalico(machine, view)
              : byOpenShift(view, vips);
        return { at: machine.place, title: `node addresses by ${by}`, lines };
      }),
      machines: machines.map(({ described }) => renderedMachine(described)),
      beneath: new Map(),
    };
  },
};
