/** ipsets of the types that this kernel has, filled from the world's addresses. */
import type { RuleItem } from "../world.ts";
import type { Place } from "./iptables-matches.ts";
import { PORTS } from "./packets.ts";
import { type Plan, allAddresses, devicesOf, prefixesOf, wants } from "./plan.ts";

const TYPES = [
  "hash:ip",
  "hash:net",
  "hash:ip,port",
  "hash:net,port",
  "hash:ip,port,ip",
  "hash:ip,port,net",
  "hash:net,iface",
  "bitmap:ip",
  "bitmap:port",
  "list:set",
] as const;
const DIMS: Record<(typeof TYPES)[number], number> = {
  "hash:ip": 1,
  "hash:net": 1,
  "hash:ip,port": 2,
  "hash:net,port": 2,
  "hash:ip,port,ip": 3,
  "hash:ip,port,net": 3,
  "hash:net,iface": 2,
  "bitmap:ip": 1,
  "bitmap:port": 1,
  "list:set": 1,
};

/** Makes some sets in a namespace; answers what rules may say of them. */
export function ipsets(plan: Plan, items: RuleItem[], ns: number): Place["sets"] {
  const { rng } = plan;
  const made: Place["sets"] = [];
  const allowed = TYPES.filter((t) => wants(plan, `ipset-${t}`));
  if (allowed.length === 0) return made;
  for (let i = rng.int(1, 4); i > 0; i--) {
    const type = rng.pick(allowed);
    const family = type === "bitmap:ip" || type === "bitmap:port" || rng.chance(0.65) ? 4 : 6;
    const name = `s${made.length}-${type.replace(/[:,]/g, "-")}`;
    const add = (text: string): void => void items.push({ kind: "ipset", ns, text, feature: `ipset-${type}` });
    if (type === "list:set") {
      const members = made.filter(
        (s) =>
          s.family === 4 && s.dims === 1 && !s.iface && !s.name.includes("list") && !s.name.includes("bitmap-port"),
      );
      if (members.length === 0) continue;
      add(`create ${name} list:set size 8`);
      for (const m of rng.some(members, rng.int(1, members.length))) add(`add ${name} ${m.name}`);
      made.push({ name, family: 4, dims: 1, iface: false });
      continue;
    }
    if (type === "bitmap:ip") {
      const prefix = rng.maybe(plan.segments.filter((s) => s.v4));
      if (!prefix) continue;
      add(`create ${name} bitmap:ip range ${prefix.v4!.base}.0/24`);
      for (let k = rng.int(1, 3); k > 0; k--) add(`add ${name} ${prefix.v4!.base}.${rng.int(1, 4)}`);
      made.push({ name, family, dims: 1, iface: false });
      continue;
    }
    if (type === "bitmap:port") {
      add(`create ${name} bitmap:port range 0-65535`);
      for (let k = rng.int(1, 3); k > 0; k--)
        add(`add ${name} ${rng.pick([String(rng.pick(PORTS)), "1-100", "20000-40000"])}`);
      made.push({ name, family: 4, dims: 1, iface: false });
      continue;
    }
    const options =
      type === "hash:ip" && rng.chance(0.2)
        ? ` netmask ${family === 4 ? rng.pick([24, 16, 31]) : rng.pick([64, 127])}`
        : rng.chance(0.15)
          ? " timeout 600"
          : "";
    add(`create ${name} ${type} family ${family === 4 ? "inet" : "inet6"}${options}`);
    for (let k = rng.int(1, 5); k > 0; k--) {
      const e = entry(plan, ns, type, family);
      if (e) add(`add ${name} ${e} -exist`);
    }
    made.push({ name, family, dims: DIMS[type], iface: type === "hash:net,iface" });
  }
  return made;
}

function entry(plan: Plan, ns: number, type: (typeof TYPES)[number], family: 4 | 6): string | null {
  const { rng } = plan;
  const ip = rng.maybe(allAddresses(plan, family));
  if (!ip) return null;
  const whole =
    family === 4 ? rng.pick(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/1"]) : rng.pick(["fd00::/16", "fd00:1::/32"]);
  const net = rng.pick([
    rng.maybe(prefixesOf(plan, family)) ?? whole,
    whole,
    family === 4 ? `${ip}/32` : `${ip}/128`,
    family === 4 ? `${ip}/30` : `${ip}/126`,
  ]);
  const port = rng.pick([
    `tcp:${rng.pick(PORTS)}`,
    `udp:${rng.pick(PORTS)}`,
    `udp:${rng.pick(PORTS)}`,
    "tcp:1-1000",
    "tcp:20000-29999",
    family === 4 ? "icmp:8/0" : "icmpv6:128/0",
  ]);
  const not = rng.chance(0.2) ? " nomatch" : "";
  switch (type) {
    case "hash:ip":
      return ip;
    case "hash:net":
      return `${net}${not}`;
    case "hash:ip,port":
      return `${ip},${port}`;
    case "hash:net,port":
      return `${net},${port}${not}`;
    case "hash:ip,port,ip":
      return `${ip},${port},${rng.pick(allAddresses(plan, family))}`;
    case "hash:ip,port,net":
      return `${ip},${port},${net}${not}`;
    case "hash:net,iface": {
      const dev = rng.maybe(devicesOf(plan, ns));
      if (!dev) return null;
      return `${net},${dev.kind === "port" && rng.chance(0.7) ? "physdev:" : ""}${dev.dev}${not}`;
    }
    case "bitmap:ip":
    case "bitmap:port":
    case "list:set":
      return null;
  }
}
