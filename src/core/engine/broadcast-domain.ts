/** Where a broadcast that leaves a device arrives: through veths, bridges, segments of the fabric, and tunnels. */
import type { Ip } from "../model/address.ts";
import type { BroadcastDomain, Crossing, Device } from "./device.ts";

/** Everyone that a broadcast from `dev` reaches, and what of that could not be followed. State only: found once for each device. */
export function domainOf(dev: Device): BroadcastDomain {
  if (dev.domain === null) {
    const reached = new Map<Device, readonly Crossing[]>();
    const gap = leave(dev, reached, new Set(), []);
    const owners = new Map<string | null, Device[]>();
    for (const d of reached.keys()) {
      const same = owners.get(d.mac);
      if (same === undefined) owners.set(d.mac, [d]);
      else same.push(d);
    }
    dev.domain = { reached, owners, gap };
  }
  return dev.domain;
}

/** Devices that see a broadcast, with the bridges on the way to each. */
type Reached = Map<Device, readonly Crossing[]>;
type Way = readonly Crossing[];

/** Where a broadcast that leaves `dev` arrives: fills `reached` with the devices whose IP stack sees it. Returns what could not be followed, or null. */
function leave(dev: Device, reached: Reached, seen: Set<Device>, way: Way): string | null {
  if (seen.has(dev)) return null;
  seen.add(dev);
  if (!dev.up) return null;
  const kind = dev.link.kind;
  if (dev.segment !== null) {
    const { absent } = dev.segment;
    let gap = absent.length > 0 ? `${absent.join(", ")} on segment ${dev.segment.name} was not recorded` : null;
    for (const other of dev.segment.devices) if (other !== dev) gap = arrive(other, reached, seen, way) ?? gap;
    return gap;
  }
  switch (kind.kind) {
    case "veth":
      return dev.peer === null
        ? `the other end of ${dev.ns.place} ${dev.name} was not recorded`
        : arrive(dev.peer, reached, seen, way);
    case "bridge": {
      let gap: string | null = null;
      for (const port of dev.ports)
        if (forwards(port) && (port.link.port?.bcastFlood ?? true))
          gap = leave(port, reached, seen, [...way, { bridge: dev, from: null, to: port }]) ?? gap;
      return gap;
    }
    case "macvlan":
    case "macvtap": {
      if (dev.lower === null) return `the device below ${dev.ns.place} ${dev.name} was not recorded`;
      if (kind.mode === "bridge") for (const up of dev.lower.uppers) if (up !== dev && up.up) reached.set(up, way);
      return leave(dev.lower, reached, seen, way);
    }
    case "ipvlan": {
      if (dev.lower === null) return `the device below ${dev.ns.place} ${dev.name} was not recorded`;
      // ipvlan_process_multicast: siblings first, then the wire; never the device below itself.
      for (const up of dev.lower.uppers)
        if (up !== dev && up.up && up.link.kind.kind === "ipvlan") reached.set(up, way);
      return leave(dev.lower, reached, seen, way);
    }
    case "vlan":
      return dev.lower === null
        ? `the device below ${dev.ns.place} ${dev.name} was not recorded`
        : leave(dev.lower, reached, seen, way);
    case "vxlan": {
      // Broadcasts go to every remote of the all-zeros entry.
      for (const e of dev.fdb.get("00:00:00:00:00:00") ?? []) {
        const owner = e.dst === null ? null : vtep(dev, e.dst);
        if (owner !== null) arrive(owner, reached, seen, way);
      }
      return null;
    }
    case "dummy":
    case "ifb":
      return null;
    case "bond":
    case "ethernet":
      return `what is behind ${dev.ns.place} ${dev.name} was not recorded`;
    default:
      return `who answers on ${dev.ns.place} ${dev.name} (${dev.kindName}) is not modelled`;
  }
}

/** The VXLAN device of the same VNI on the machine that owns `remote`. */
function vtep(dev: Device, remote: Ip): Device | null {
  const kind = dev.link.kind;
  if (kind.kind !== "vxlan") return null;
  for (const ns of dev.ns.world.namespaces) {
    if (ns === dev.ns || ns.owner(remote) === null) continue;
    for (const d of ns.devices) if (d.link.kind.kind === "vxlan" && d.link.kind.id === kind.id && d.up) return d;
  }
  return null;
}

function forwards(port: Device): boolean {
  return port.up && (port.link.port === null || port.link.port.state === "forwarding");
}

function arrive(dev: Device, reached: Reached, seen: Set<Device>, way: Way): string | null {
  if (!dev.up) return null;
  for (const up of dev.uppers) if (up.up) reached.set(up, way);
  const master = dev.master;
  if (master?.link.kind.kind === "bridge") {
    if (!forwards(dev)) return null;
    seen.add(dev);
    if (master.up) reached.set(master, [...way, { bridge: master, from: dev, to: null }]);
    let gap: string | null = null;
    for (const port of master.ports) {
      if (port === dev || !forwards(port) || (port.link.port?.isolated && dev.link.port?.isolated)) continue;
      gap = leave(port, reached, seen, [...way, { bridge: master, from: dev, to: port }]) ?? gap;
    }
    return gap;
  }
  reached.set(dev, way);
  return null;
}
