/** The fabric of a scenario: what lies between the nodes. */
import { Item, named } from "./scenario-item.ts";
import type { FabricSpec, NodeSpec, RouterSpec, SegmentSpec } from "./scenario.ts";
import { readPorts } from "./scenario-workload.ts";

const KINDS = ["l2", "racks", "tors", "custom"] as const;
/** Names that the fabric's own machines have. */
const TAKEN: ReadonlySet<string> = new Set(["fabric", "outside"]);

function routers(item: Item): RouterSpec[] {
  return item.items("routers").map((each) => {
    each.only("name", "forwards", "addresses", "routes", "ports");
    const routes = each.items("routes").map((route) => {
      route.only("to", "via");
      return { to: route.required("to"), via: route.addresses("via") };
    });
    return {
      ...each.where(),
      name: named(each, each.required("name")),
      forwards: each.flag("forwards") ?? true,
      addresses: each.networks("addresses"),
      routes,
      ports: readPorts(each, "ports"),
    };
  });
}

function segments(item: Item, machines: ReadonlySet<string>): SegmentSpec[] {
  return item.items("segments").map((each) => {
    each.only("name", "mtu", "attached", "gateway");
    const attached = each.items("attached").map((port) => {
      port.only("machine", "dev", "addresses");
      const machine = port.required("machine");
      if (!machines.has(machine)) throw port.error("machine", `names ${machine}, which is no node and no router`);
      return { machine, dev: port.required("dev"), addresses: port.networks("addresses") };
    });
    if (attached.length === 0) throw each.error("attached", "is missing: nobody hangs on this segment");
    const gateway = each.text("gateway");
    if (gateway !== null && !attached.some(({ machine }) => machine === gateway))
      throw each.error("gateway", `names ${gateway}, which does not hang on this segment`);
    return {
      ...each.where(),
      name: named(each, each.required("name")),
      mtu: each.whole("mtu", 576, 65_535) ?? 1500,
      attached,
      gateway,
    };
  });
}

function rackCount(item: Item, kind: FabricSpec["kind"]): number {
  const racks = item.whole("racks", 1, 200);
  if (racks !== null && kind !== "racks") throw item.error("racks", "is for a fabric of racks");
  return racks ?? 2;
}

/** Reads `fabric:`, a word or an object. Throws ParseError. */
export function readFabric(scenario: Item, nodes: readonly NodeSpec[]): FabricSpec {
  if (!scenario.has("fabric") || scenario.isTextOf("fabric")) {
    const kind = scenario.oneOf("fabric", KINDS) ?? "l2";
    if (kind === "custom")
      throw scenario.error("fabric", "custom needs its segments: fabric: {kind: custom, segments: …}");
    return { ...scenario.where("fabric"), kind, racks: 2, outside: true, mtu: 1500, segments: [], routers: [] };
  }
  const item = scenario.child("fabric").only("kind", "racks", "outside", "mtu", "segments", "routers");
  const kind = item.oneOf("kind", KINDS) ?? "l2";
  const own = routers(item);
  for (const each of own)
    if (TAKEN.has(each.name) || nodes.some(({ name }) => name === each.name))
      throw item.error("routers", `${each.name} is another machine's name`);
  const extra = kind === "custom" ? [] : [...TAKEN, ...(kind === "tors" ? ["tor1", "tor2"] : [])];
  const machines = new Set([...nodes.map(({ name }) => name), ...own.map(({ name }) => name), ...extra]);
  const all = segments(item, machines);
  if (kind === "custom" && all.length === 0) throw item.error("segments", "is missing: a custom fabric needs some");
  const outside = item.flag("outside");
  if (kind === "custom" && outside === true)
    throw item.error("outside", "is not for a custom fabric: add a router that does not forward");
  return {
    ...scenario.where("fabric"),
    kind,
    racks: rackCount(item, kind),
    outside: outside ?? kind !== "custom",
    mtu: item.whole("mtu", 576, 65_535) ?? 1500,
    segments: all,
    routers: own,
  };
}
