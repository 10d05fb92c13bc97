/** The fabric of a scenario as machines, their devices, and segments between them. */
import { sha1Mac } from "../../core/networks/render/machines.ts";
import { LabError } from "./parts.ts";
import type { PortSpec, Scenario, SegmentSpec } from "./scenario.ts";

export interface WiredDevice {
  name: string;
  mtu: number;
  mac: string;
  /** With lengths. */
  addresses: string[];
}

export interface WiredMachine {
  name: string;
  kind: "node" | "host" | "router";
  /** Without `lo`. */
  devices: WiredDevice[];
  /** Addresses on lo, with lengths. */
  loopback: string[];
  routes: { to: string; via: string[] }[];
  /** What it serves besides pods that are on its network. */
  ports: PortSpec[];
}

export interface WiredSegment {
  name: string;
  mtu: number;
  attached: { machine: string; dev: string }[];
  /** Device of the machine `fabric` that is the segment's bridge; null where the bridge is nobody's own, or there is only a cable. */
  bridge: string | null;
}

export interface Wiring {
  machines: WiredMachine[];
  segments: WiredSegment[];
}

/** The machine that routes between segments; bridges and ends of cables live in its namespace. */
export const FABRIC = "fabric";
export const OUTSIDE = "outside";
/** The last number of the first node's address. */
const FIRST = 11;

const device = (machine: string, name: string, mtu: number, addresses: string[]): WiredDevice => ({
  name,
  mtu,
  mac: sha1Mac(`${machine} ${name}`),
  addresses,
});

/** Everybody's address on a segment of /24 and /64. */
const onNet = (families: readonly number[], net: number, host: number): string[] =>
  families.map((family) =>
    family === 4
      ? `172.30.${net}.${host}/24`
      : `fd00:172:30:${net === 0 ? "" : `${net}:`}:${host.toString(16)}/64`.replace(":::", "::"),
  );

const defaultVia = (gateways: readonly string[]): WiredMachine["routes"] =>
  gateways.map((address) => ({
    to: address.includes(":") ? "::/0" : "0.0.0.0/0",
    via: [address.replace(/\/\d+$/, "")],
  }));

const router = (name: string): WiredMachine => ({
  name,
  kind: "router",
  devices: [],
  loopback: [],
  routes: [],
  ports: [],
});

/** Names of the machines that hang on the fabric like nodes: nodes, and hosts with Docker. */
function members(
  scenario: Scenario,
): { name: string; kind: "node" | "host"; rack: string | null; addresses: string[] }[] {
  const docker = scenario.objects.filter((each) => each.apiVersion === "kubewalk/v1" && each.kind === "DockerHost");
  const nodes = new Set(scenario.nodes.map((each) => each.name));
  return [
    ...scenario.nodes.map(({ name, rack, addresses }) => ({ name, kind: "node" as const, rack, addresses })),
    ...docker
      .filter(({ name }) => !nodes.has(name))
      .map(({ name }) => ({ name, kind: "host" as const, rack: null, addresses: [] })),
  ];
}

const withLength = (addresses: readonly string[]): string[] =>
  addresses.map((each) => `${each}/${each.includes(":") ? 64 : 24}`);

/** Segments with a router on each: `l2` is one, `racks` several. */
function onSegments(scenario: Scenario, names: readonly string[]): Wiring {
  const { families, fabric } = scenario;
  const all = members(scenario);
  if (all.length > 240) throw new LabError(`a fabric has room for 240 machines, not for ${all.length}`);
  const isL2 = fabric.kind === "l2";
  const center = router(FABRIC);
  const segments = names.map((name, i): WiredSegment => {
    const net = isL2 ? 0 : i + 1;
    center.devices.push(device(FABRIC, name, fabric.mtu, onNet(families, net, 1)));
    return { name, mtu: fabric.mtu, attached: [{ machine: FABRIC, dev: name }], bridge: name };
  });
  const machines = all.map(({ name, kind, rack, addresses }, i): WiredMachine => {
    const place = isL2 ? 0 : rack === null ? i % names.length : names.indexOf(rack);
    const segment = segments[place];
    if (segment === undefined)
      throw new LabError(`node ${name} stands in rack ${rack ?? ""}, which the fabric has not`);
    segment.attached.push({ machine: name, dev: "eth0" });
    const net = isL2 ? 0 : place + 1;
    const own = addresses.length > 0 ? withLength(addresses) : onNet(families, net, FIRST + i);
    const routes = defaultVia(onNet(families, net, 1));
    return { name, kind, devices: [device(name, "eth0", fabric.mtu, own)], loopback: [], routes, ports: [] };
  });
  return { machines: [...machines, center], segments };
}

/** Cables from each node to two routers, and from these to the one in the middle. */
function onTors(scenario: Scenario): Wiring {
  const { families, fabric } = scenario;
  const all = members(scenario);
  if (all.length > 120) throw new LabError(`a fabric of two switches has room for 120 machines, not for ${all.length}`);
  const center = router(FABRIC);
  const tors = [1, 2].map((n) => router(`tor${n}`));
  const segments: WiredSegment[] = [];
  /** A cable; the second end has the odd address. */
  const cable = (
    a: WiredMachine,
    aDev: string,
    b: WiredMachine,
    bDev: string,
    net: string,
    net6: string,
    n: number,
  ): void => {
    const ends = (k: number): string[] =>
      families.map((family) => (family === 4 ? `${net}.${2 * n + k}/31` : `${net6}::${(2 * n + k).toString(16)}/127`));
    a.devices.push(device(a.name, aDev, fabric.mtu, ends(0)));
    b.devices.push(device(b.name, bDev, fabric.mtu, ends(1)));
    const attached = [
      { machine: a.name, dev: aDev },
      { machine: b.name, dev: bDev },
    ];
    segments.push({ name: `${a.name}-${b.name}`, mtu: fabric.mtu, attached, bridge: null });
  };
  const machines = all.map(({ name, kind, addresses }, i): WiredMachine => {
    const own =
      addresses.length > 0 ? addresses : onNet(families, 0, FIRST + i).map((each) => each.replace(/\/\d+$/, ""));
    const loopback = own.map((each) => `${each}/${each.includes(":") ? 128 : 32}`);
    const machine: WiredMachine = { name, kind, devices: [], loopback, routes: [], ports: [] };
    for (const [t, tor] of tors.entries())
      cable(tor, name.slice(0, 15), machine, `eth${t}`, `172.20.${t + 1}`, `fd00:172:20:${t + 1}`, i);
    return machine;
  });
  for (const [t, tor] of tors.entries())
    cable(center, tor.name, tor, "up", `172.21.${t + 1}`, `fd00:172:21:${t + 1}`, 0);
  return { machines: [...machines, ...tors, center], segments };
}

function addSegments(wiring: Wiring, segments: readonly SegmentSpec[]): void {
  const byName = new Map(wiring.machines.map((each) => [each.name, each]));
  for (const { name, mtu, attached, gateway } of segments) {
    for (const { machine, dev, addresses } of attached) {
      const owner = byName.get(machine);
      if (owner === undefined) throw new LabError(`segment ${name} names ${machine}, which is no machine of the lab`);
      if (owner.devices.some((each) => each.name === dev))
        throw new LabError(`segment ${name}: ${machine} has a device ${dev} already`);
      owner.devices.push(device(machine, dev, mtu, addresses));
      const via = attached.find((each) => each.machine === gateway)?.addresses ?? [];
      if (machine !== gateway) owner.routes.push(...defaultVia(via));
    }
    wiring.segments.push({ name, mtu, attached: attached.map(({ machine, dev }) => ({ machine, dev })), bridge: null });
  }
}

function base(scenario: Scenario): Wiring {
  const { fabric } = scenario;
  if (fabric.kind === "l2") return onSegments(scenario, ["br0"]);
  if (fabric.kind === "tors") return onTors(scenario);
  if (fabric.kind === "racks") {
    const named = [...new Set(scenario.nodes.flatMap((each) => each.rack ?? []))];
    const names = named.length > 0 ? named : Array.from({ length: fabric.racks }, (_, i) => `rack${i + 1}`);
    return onSegments(scenario, names);
  }
  const none = { devices: [], routes: [], ports: [] };
  return {
    machines: members(scenario).map(({ name, kind, addresses }) => ({
      ...none,
      name,
      kind,
      devices: [],
      routes: [],
      loopback: addresses.map((each) => `${each}/${each.includes(":") ? 128 : 32}`),
    })),
    segments: [],
  };
}

/** Addresses of a node that stand on lo only when no segment gives them. */
function withoutDoubles(machine: WiredMachine): void {
  const given = new Set(machine.devices.flatMap((each) => each.addresses.map((text) => text.replace(/\/\d+$/, ""))));
  machine.loopback = machine.loopback.filter((each) => !given.has(each.replace(/\/\d+$/, "")));
}

/** Machines and segments of a scenario. Throws LabError for what cannot be wired. */
export function wire(scenario: Scenario): Wiring {
  const wiring = base(scenario);
  const { fabric, families } = scenario;
  for (const { name, forwards, addresses, routes, ports } of fabric.routers)
    wiring.machines.push({
      name,
      kind: forwards ? "router" : "host",
      devices: [],
      loopback: addresses,
      routes: routes.map(({ to, via }) => ({
        to: to === "default" ? (via[0]?.includes(":") === true ? "::/0" : "0.0.0.0/0") : to,
        via,
      })),
      ports,
    });
  const outsideNet = (host: number): string[] =>
    families.map((family) => (family === 4 ? `192.168.30.${host}/24` : `fd00:192:168:30::${host}/64`));
  if (fabric.outside) {
    wiring.machines.push({
      name: OUTSIDE,
      kind: "host",
      devices: [device(OUTSIDE, "eth0", fabric.mtu, outsideNet(2))],
      loopback: [],
      routes: defaultVia(outsideNet(1)),
      ports: [],
    });
    wiring.machines
      .find((each) => each.name === FABRIC)
      ?.devices.push(device(FABRIC, "kwo0", fabric.mtu, outsideNet(1)));
    const attached = [
      { machine: FABRIC, dev: "kwo0" },
      { machine: OUTSIDE, dev: "eth0" },
    ];
    wiring.segments.push({ name: OUTSIDE, mtu: fabric.mtu, attached, bridge: null });
  }
  addSegments(wiring, fabric.segments);
  for (const machine of wiring.machines) withoutDoubles(machine);
  return wiring;
}
