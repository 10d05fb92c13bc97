/** Namespaces and the links between them: a random tree of veths and bridges, sometimes with one link more than a tree. */
import { type Device, type Member, type Plan, type Segment, ip, sysctl, wants } from "./plan.ts";

/** A MAC that depends on the case alone. */
export function mac(ns: number, n: number): string {
  return `02:00:00:00:${(ns + 1).toString(16).padStart(2, "0")}:${n.toString(16).padStart(2, "0")}`;
}

/** Adds links to an empty plan. */
export function topology(plan: Plan): void {
  const { rng } = plan;
  const count = plan.namespaces.length;
  for (let i = 1; i < count; i++) {
    const bridges = plan.segments.filter((s) => s.kind === "bridge");
    const bridge = rng.maybe(bridges);
    if (bridge && rng.chance(0.5)) joinBridge(plan, bridge, i);
    else if (wants(plan, "bridge") && rng.chance(0.3)) joinBridge(plan, newBridge(plan, rng.int(0, i - 1)), i);
    else newVeth(plan, rng.int(0, i - 1), i);
  }
  if (count > 2 && rng.chance(0.3)) {
    const [a, b] = rng.some([...plan.namespaces.keys()], 2);
    newVeth(plan, a!, b!);
  }
  if (wants(plan, "macvlan") && rng.chance(0.12)) macvlan(plan);
}

function device(plan: Plan, ns: number, kind: Device["kind"], stem: string): Device {
  const n = plan.devices.filter((d) => d.ns === ns).length;
  const style = plan.rng.int(0, 9);
  const name = style === 0 ? `${stem}.${n}` : style === 1 ? `${stem}-x${n}` : `${stem}${n}`;
  const d: Device = { ns, dev: name, kind, mtu: 1500 };
  plan.devices.push(d);
  return d;
}

function segment(plan: Plan, kind: Segment["kind"], members: Member[]): Segment {
  const s: Segment = { kind, members, v4: null, v6: null };
  plan.segments.push(s);
  return s;
}

const member = (d: Device): Member => ({ ns: d.ns, dev: d.dev, v4: null, v6: null });

function veth(plan: Plan, a: Device, b: Device): void {
  const n = plan.devices.length;
  ip(
    plan,
    a.ns,
    "link",
    `link add ${a.dev} address ${mac(a.ns, n)} type veth peer name ${b.dev} address ${mac(b.ns, n + 100)} netns ${plan.namespaces[b.ns]}`,
    "veth",
  );
}

function newVeth(plan: Plan, a: number, b: number): Segment {
  const x = device(plan, a, "veth", "eth");
  const y = device(plan, b, "veth", "eth");
  veth(plan, x, y);
  return segment(plan, "veth", [member(x), member(y)]);
}

function newBridge(plan: Plan, ns: number): Segment {
  const d = device(plan, ns, "bridge", "br");
  ip(
    plan,
    ns,
    "link",
    `link add ${d.dev} address ${mac(ns, plan.devices.length)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    "bridge",
  );
  return segment(plan, "bridge", [member(d)]);
}

function joinBridge(plan: Plan, s: Segment, ns: number): void {
  const { rng } = plan;
  const owner = s.members[0]!;
  const port = device(plan, owner.ns, "port", "p");
  const end = device(plan, ns, "veth", "eth");
  veth(plan, port, end);
  ip(plan, owner.ns, "upper", `link set ${port.dev} master ${owner.dev}`, "bridge");
  if (wants(plan, "bridge-port") && rng.chance(0.15)) {
    const option = rng.pick(["hairpin on", "isolated on", "learning off", "flood off", "hairpin on"]);
    ip(plan, owner.ns, "upper", `link set ${port.dev} type bridge_slave ${option}`, "bridge-port");
  }
  if (wants(plan, "bridge-nf") && s.members.length === 1) {
    for (const f of ["iptables", "ip6tables"])
      sysctl(plan, owner.ns, `net/bridge/bridge-nf-call-${f}`, rng.chance(0.5) ? 1 : 0, "bridge-nf");
  }
  s.members.push(member(end));
}

/** A macvlan on top of one end of a segment, living in another namespace. */
function macvlan(plan: Plan): void {
  const { rng } = plan;
  const s = rng.pick(plan.segments);
  const lower = rng.pick(s.members);
  if (plan.devices.some((d) => d.ns === lower.ns && d.dev === lower.dev && d.kind === "bridge")) return;
  const ns = rng.int(0, plan.namespaces.length - 1);
  const d = device(plan, ns, "macvlan", "mv");
  const mode = rng.pick(["bridge", "bridge", "private", "vepa"]);
  ip(
    plan,
    lower.ns,
    "upper",
    `link add link ${lower.dev} name ${d.dev} address ${mac(ns, plan.devices.length + 50)} netns ${plan.namespaces[ns]} type macvlan mode ${mode}`,
    "macvlan",
  );
  s.members.push(member(d));
}

/** A VXLAN between two namespaces that can reach each other; called once addresses are known. */
export function vxlan(plan: Plan): void {
  const { rng } = plan;
  const under = rng.maybe(
    plan.segments.filter((s) => s.kind !== "vxlan" && s.members.filter((m) => m.v4 !== null).length > 1),
  );
  if (!under || !wants(plan, "vxlan")) return;
  const [a, b] = rng.some(
    under.members.filter((m) => m.v4 !== null),
    2,
  ) as [Member, Member];
  if (a.ns === b.ns) return;
  const vni = rng.int(1, 5000);
  const port = rng.pick([4789, 8472]);
  const style = rng.pick(["remote", "fdb", "static"] as const);
  const ends = [a, b].map((m) => ({ m, d: device(plan, m.ns, "vxlan", "vx"), mac: mac(m.ns, 200 + m.ns) }));
  ends.forEach(({ m, d, mac: own }, i) => {
    const other = ends[1 - i]!;
    d.mtu = 1450;
    const dest = style === "remote" ? ` remote ${other.m.v4}` : "";
    const learn = style === "static" ? " nolearning" : "";
    ip(
      plan,
      m.ns,
      "address",
      `link add ${d.dev} address ${own} mtu 1450 type vxlan id ${vni} local ${m.v4} dstport ${port}${dest}${learn} noudpcsum`,
      "vxlan",
    );
    if (style !== "remote") {
      const to = style === "fdb" ? "00:00:00:00:00:00" : other.mac;
      plan.items.push({
        ns: m.ns,
        phase: "fdb",
        kind: "bridge",
        text: `fdb append ${to} dev ${d.dev} dst ${other.m.v4}`,
        feature: "vxlan",
      });
    }
  });
  const s = segment(
    plan,
    "vxlan",
    ends.map((e) => member(e.d)),
  );
  s.v4 = { base: `10.${100 + plan.segments.length}.${rng.int(0, 255)}`, len: 24 };
  s.v6 = rng.chance(0.5) ? { base: `fd00:64:${plan.segments.length}:`, len: 64 } : null;
  s.members.forEach((m, i) => {
    ip(plan, m.ns, "address", `link set ${m.dev} up`, "up");
    m.v4 = `${s.v4!.base}.${i + 1}`;
    if (s.v6) m.v6 = `${s.v6.base}:${i + 1}`;
    ip(plan, m.ns, "address", `addr add ${m.v4}/24 dev ${m.dev}`, "vxlan");
    if (m.v6) ip(plan, m.ns, "address", `addr add ${m.v6}/64 dev ${m.dev} nodad`, "vxlan");
    if (style === "static") {
      const other = ends[1 - i]!;
      ip(
        plan,
        m.ns,
        "route",
        `neigh replace ${s.v4!.base}.${2 - i} lladdr ${other.mac} dev ${m.dev} nud permanent`,
        "vxlan",
      );
      if (s.v6)
        ip(
          plan,
          m.ns,
          "route",
          `neigh replace ${s.v6.base}:${2 - i} lladdr ${other.mac} dev ${m.dev} nud permanent`,
          "vxlan",
        );
    }
  });
}

/**
 * Gives every device a number of its own, in the order in which they are made: so it is on a machine, and
 * inet_select_addr goes by that order. The two ends of a veth never share a number: linkwatch_urgent_event would take
 * them for a plain device, and be slow to report their carrier.
 */
export function numberDevices(plan: Plan): void {
  let n = 10;
  for (const phase of ["link", "upper", "address"] as const) {
    for (const ns of plan.namespaces.keys()) {
      for (const item of plan.items) {
        if (item.kind !== "ip" || item.phase !== phase || item.ns !== ns || !item.text.startsWith("link add "))
          continue;
        item.text = item.text.replaceAll(
          /(link add (?!link )| name )(\S+)/g,
          (_, before: string, name: string) => `${before}${name} index ${++n}`,
        );
      }
    }
  }
}
