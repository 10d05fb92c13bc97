import { describe, expect, test } from "vitest";
import fc from "fast-check";
import {
  ip,
  line,
  link,
  SRC,
  listener,
  namespace,
  policyRule,
  prefix,
  route,
  snapshot,
} from "../../../test/support/world.ts";
import type { Neighbour } from "../model/link.ts";
import type { Answer, Question } from "../model/walk.ts";
import { ask, createWorld, QuestionError } from "./walk.ts";

const from = "n/netns/1";
const tcp: Question = { from, proto: "tcp", to: "10.2.0.2", port: 80 };

function one(a: Answer): string {
  const o = a.outcomes[0]!;
  return a.outcomes.length === 1
    ? `${o.client} ${o.disposition}`
    : a.outcomes.map((x) => `${x.share?.num}/${x.share?.den} ${x.client}`).join(", ");
}

const rules = (filter: string, nat = ""): string => `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
${filter}
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
${nat}
COMMIT
`;

/** A neighbour entry for the router, whose link has this index. */
const known = (address: string, index: number): Neighbour => ({
  ip: ip(address),
  dev: "eth0",
  mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`,
  state: "REACHABLE",
  router: false,
  source: SRC,
});

describe("a routed line of three", () => {
  const cases: [what: string, world: Parameters<typeof line>, q: Partial<Question>, want: string][] = [
    ["TCP is answered", [], {}, "answered delivered"],
    ["UDP is answered", [], { proto: "udp" }, "answered delivered"],
    ["ping is answered", [], { proto: "icmp" }, "answered answered"],
    ["IPv6 likewise", [], { to: "fd00:2::2" }, "answered delivered"],
    ["IPv6 ping", [], { to: "fd00:2::2", proto: "icmp" }, "answered answered"],
    ["nothing listens: RST", [], { port: 81 }, "refused no-listener"],
    ["nothing listens: ICMP", [], { port: 81, proto: "udp" }, "refused no-listener"],
    ["nobody has the address", [], { to: "10.2.0.9" }, "host-unreachable neighbour-unreachable"],
    ["UDP ignores host unreachable", [], { to: "10.2.0.9", proto: "udp" }, "timeout neighbour-unreachable"],
    ["the router has no route", [], { to: "10.3.0.1" }, "network-unreachable no-route"],
    ["UDP ignores net unreachable", [], { to: "10.3.0.1", proto: "udp" }, "timeout no-route"],
    [
      "unreachable route",
      [{ routes: [route("unreachable 10.3.0.0/24")] }],
      { to: "10.3.0.1" },
      "host-unreachable no-route",
    ],
    ["prohibit route", [{ routes: [route("prohibit 10.3.0.0/24")] }], { to: "10.3.0.1" }, "host-unreachable no-route"],
    ["blackhole route", [{ routes: [route("blackhole 10.3.0.0/24")] }], { to: "10.3.0.1" }, "timeout dropped"],
    ["own blackhole route", [{}, { a: { routes: [route("blackhole 10.2.0.0/24")] } }], {}, "invalid no-route"],
    ["own prohibit route", [{}, { a: { routes: [route("prohibit 10.2.0.0/24")] } }], {}, "prohibited no-route"],
    [
      "own unreachable route",
      [{}, { a: { routes: [route("unreachable 10.2.0.0/24")] } }],
      {},
      "host-unreachable no-route",
    ],
    ["no route of one's own", [{}, { a: { routes: [] } }], {}, "network-unreachable no-route"],
    [
      "forwarding is off where it comes in",
      [{ sysctls: { "net.ipv4.conf.ra.forwarding": "0" } }],
      {},
      "timeout dropped",
    ],
    [
      "forwarding off where it leaves stops the answer",
      [{ sysctls: { "net.ipv4.conf.rb.forwarding": "0" } }],
      {},
      "timeout dropped",
    ],
    ["TTL runs out", [], { ttl: 1 }, "host-unreachable ttl-exceeded"],
    [
      "too big for the second link",
      [
        {
          links: [
            link(12, "ra", ["10.1.0.1/24"], { peer: 2 }),
            link(13, "rb", ["10.2.0.1/24"], { peer: 3, mtu: 1400 }),
          ],
        },
      ],
      { proto: "icmp", size: 1450 },
      "too-big too-big",
    ],
    ["too big for one's own link", [], { proto: "udp", size: 1600 }, "too-big too-big"],
    [
      "TCP learns the path's MTU",
      [{ routes: [route("10.2.0.0/24 dev rb", { mtu: 1400, metric: -1 })] }],
      { size: 1500 },
      "answered delivered",
    ],
    ["dropped in FORWARD", [{ iptables: rules("-A FORWARD -p tcp -j DROP") }], {}, "timeout dropped"],
    ["the answer dropped", [{ iptables: rules("-A FORWARD -s 10.2.0.0/24 -j DROP") }], {}, "timeout dropped"],
    [
      "data dropped after the handshake",
      [{ iptables: rules("-A FORWARD -d 10.2.0.0/24 -m conntrack --ctstate ESTABLISHED -j DROP") }],
      {},
      "timeout dropped",
    ],
    [
      "rejected with ICMP",
      [{ iptables: rules("-A FORWARD -p tcp -j REJECT --reject-with icmp-admin-prohibited") }],
      {},
      "host-unreachable rejected",
    ],
    [
      "rejected with RST",
      [{ iptables: rules("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset") }],
      {},
      "refused rejected",
    ],
    [
      "own OUTPUT drops UDP",
      [{}, { a: { iptables: rules("-A OUTPUT -p udp -j DROP") } }],
      { proto: "udp" },
      "not-permitted dropped",
    ],
    ["own OUTPUT drops TCP", [{}, { a: { iptables: rules("-A OUTPUT -p tcp -j DROP") } }], {}, "timeout dropped"],
    [
      "rp_filter refuses a foreign way back",
      [
        { sysctls: { "net.ipv4.conf.ra.rp_filter": "1" }, routes: [route("10.1.0.2/32 dev rb")] },
        { a: { more: { neighbours: [known("10.1.0.1", 12)] } } },
      ],
      {},
      "timeout rp-filter",
    ],
    [
      "rp_filter keeps ARP from being answered, too",
      [{ sysctls: { "net.ipv4.conf.ra.rp_filter": "1" }, routes: [route("10.1.0.2/32 dev rb")] }],
      {},
      "host-unreachable neighbour-unreachable",
    ],
    [
      "DNAT",
      [
        {
          iptables: rules(
            "",
            "-A PREROUTING -d 10.9.9.9/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.2.0.2:80",
          ),
        },
      ],
      { to: "10.9.9.9", port: 8080 },
      "answered delivered",
    ],
    [
      "DNAT on the way out routes again",
      [
        {},
        {
          a: {
            iptables: rules(
              "",
              "-A OUTPUT -d 10.1.0.9/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.2.0.2:80",
            ),
          },
        },
      ],
      { to: "10.1.0.9" },
      "answered delivered",
    ],
    [
      "a mark routes",
      [
        {
          iptables: rules("-A FORWARD -j ACCEPT"),
          rules4: [policyRule(0, 255), policyRule(10, 7, { fwmark: 1 }), policyRule(32766, 254)],
        },
      ],
      {},
      "answered delivered",
    ],
  ];
  test.each(cases)("%s", (_, world, q, want) => {
    expect(one(ask(createWorld(line(...world)), { ...tcp, ...q }))).toBe(want);
  });
});

test("masquerade shows the router's address to the server", () => {
  const world = createWorld(line({ iptables: rules("", "-A POSTROUTING -o rb -j MASQUERADE") }));
  expect(ask(world, tcp).outcomes[0]?.server).toEqual({
    at: "n/netns/2",
    address: "10.2.0.2",
    port: 80,
    clientAddress: "10.2.0.1",
  });
});

test("statistic chains multiply to exact fractions", () => {
  const nat = [2, 3, 4]
    .map(
      (n, i) =>
        `-A SVC -p tcp${i < 2 ? ` -m statistic --mode random --probability ${["0.33333333349", "0.50000000000"][i]}` : ""} -j DNAT --to-destination 10.2.0.${n}:80`,
    )
    .join("\n");
  const world = createWorld(
    line({
      iptables: rules("", `-A PREROUTING -d 10.9.9.9/32 -j SVC\n${nat}`).replace(
        ":INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING",
        ":SVC - [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING",
      ),
    }),
  );
  const a = ask(world, { ...tcp, to: "10.9.9.9" });
  expect(a.verdict).toBe("mixed");
  expect(a.outcomes.map((o) => `${o.share?.num}/${o.share?.den} ${o.client}`).toSorted()).toEqual([
    "1/3 answered",
    "1/3 host-unreachable",
    "1/3 host-unreachable",
  ]);
});

test("ECMP: each next hop a branch by its weight", () => {
  const a = namespace({
    place: "n/netns/1",
    links: [link(2, "eth0", ["10.1.0.2/24"], { peer: 12 })],
    routes: [route("default via 10.1.0.1 dev eth0")],
  });
  const r = namespace({
    place: "n/host",
    links: [link(12, "ra", ["10.1.0.1/24"], { peer: 2 }), link(13, "rb", ["10.2.0.1/24"], { peer: 3 })],
    routes: [route("10.7.0.0/24 via 10.2.0.2 dev rb weight 2 nexthop via 10.2.0.9 dev rb weight 1")],
  });
  const b = namespace({
    place: "n/netns/2",
    links: [link(3, "eth0", ["10.2.0.2/24", "10.7.0.1/32"], { peer: 13 })],
    sockets: [listener("tcp", 80)],
    routes: [route("default via 10.2.0.1 dev eth0")],
  });
  const got = ask(createWorld(snapshot([a, r, b])), { ...tcp, to: "10.7.0.1" });
  expect(got.outcomes.map((o) => `${o.share?.num}/${o.share?.den} ${o.client}`)).toEqual([
    "2/3 answered",
    "1/3 host-unreachable",
  ]);
});

test("a match that is not modelled decides nothing where it does not matter, and is named where it does", () => {
  const string = (rest: string): Answer =>
    ask(createWorld(line({ iptables: rules(`-A FORWARD -m string --string "x" --algo bm --to 65535 ${rest}`) })), tcp);
  expect(string("-j ACCEPT").verdict).toBe("answered");
  const matters = string("-j DROP");
  expect(matters.verdict).toBe("inconclusive");
  expect(matters.outcomes.every((o) => o.share === null && o.because.text.includes("string"))).toBe(true);
});

test("two routers that send to each other: TTL ends it", () => {
  const a = namespace({
    place: "n/netns/1",
    links: [link(2, "eth0", ["10.1.0.2/24"], { peer: 12 })],
    routes: [route("default via 10.1.0.1 dev eth0")],
  });
  const r = namespace({
    place: "n/host",
    links: [link(12, "ra", ["10.1.0.1/24"], { peer: 2 }), link(13, "rb", ["10.2.0.1/24"], { peer: 3 })],
    routes: [route("10.9.0.0/16 via 10.2.0.2 dev rb")],
  });
  const b = namespace({
    place: "n/netns/2",
    links: [link(3, "eth0", ["10.2.0.2/24"], { peer: 13 })],
    routes: [route("10.9.0.0/16 via 10.2.0.1 dev eth0"), route("default via 10.2.0.1 dev eth0")],
  });
  expect(one(ask(createWorld(snapshot([a, r, b])), { ...tcp, to: "10.9.0.1" }))).toBe("host-unreachable ttl-exceeded");
});

test("policy rules choose tables; the source that was chosen counts in the second lookup", () => {
  const world = createWorld(
    line(
      {},
      {
        a: {
          rules4: [policyRule(0, 255), policyRule(100, 7, { from: prefix("10.1.0.2/32") }), policyRule(32766, 254)],
          routes: [route("default via 10.1.0.1 dev eth0"), route("unreachable 10.2.0.0/24", { table: 7 })],
        },
      },
    ),
  );
  expect(one(ask(world, tcp))).toBe("host-unreachable no-route");
});

test.each([
  ["rules", "iptables"],
  ["routes", "route4"],
  ["policy rules", "rule4"],
  ["settings", "sysctl"],
  ["neighbours", "neigh"],
  ["sockets", "sockets"],
  ["addresses", "addr"],
] as const)("missing %s never become a confident verdict", (_, aspect) => {
  for (const at of [0, 1, 2]) {
    const s = line();
    s.namespaces[at]!.missing.set(aspect, "exit status 127");
    // nft's own listing would tell that there are no rules.
    if (aspect === "iptables") s.namespaces[at]!.missing.set("nft", "exit status 127");
    // Sockets count only where the packet is delivered.
    if (aspect === "sockets" && at !== 2) continue;
    expect(ask(createWorld(s), tcp).verdict, `${aspect} of ${s.namespaces[at]!.place}`).toBe("inconclusive");
  }
});

test("questions that make no sense are refused", () => {
  const world = createWorld(line());
  for (const q of [
    { from: "x/host" },
    { to: "example" },
    { port: undefined },
    { port: 70000 },
    { tcpFlags: "syn,xyz" },
  ])
    expect(() => ask(world, { ...tcp, ...q })).toThrow(QuestionError);
});

test("a frame between bridges that are joined twice goes in circles, and that is said", () => {
  const port = (index: number, name: string, master: string, peer: number) =>
    link(index, name, [], { master, peer, peerNetnsId: null });
  const s = snapshot([
    namespace({
      place: "n/host",
      links: [
        link(2, "br0", ["10.1.0.1/24"], {
          kind: { kind: "bridge", vlanFiltering: false, defaultPvid: 1, nfCallIptables: false, nfCallIp6tables: false },
        }),
        link(3, "br1", [], {
          kind: { kind: "bridge", vlanFiltering: false, defaultPvid: 1, nfCallIptables: false, nfCallIp6tables: false },
        }),
        port(4, "a0", "br0", 5),
        port(5, "a1", "br1", 4),
        port(6, "b0", "br0", 7),
        port(7, "b1", "br1", 6),
      ],
      more: { neighbours: [{ ...known("10.1.0.9", 99), dev: "br0", state: "PERMANENT" }] },
    }),
  ]);
  expect(ask(createWorld(s), { from: "n/host", proto: "udp", to: "10.1.0.9", port: 5 }).verdict).toBe("failed");
});

test("shares sum to one, whatever chains chance goes through", () => {
  const target = fc.constantFrom("ACCEPT", "DROP", "REJECT --reject-with icmp-port-unreachable", "C1", "C2", "RETURN");
  const rule = fc.record({
    p: fc.integer({ min: 1, max: 2 ** 31 - 1 }).map((n) => (n / 2 ** 31).toFixed(11)),
    target,
    mark: fc.boolean(),
  });
  const chain = (maxLength: number) => fc.array(rule, { maxLength });
  fc.assert(
    fc.property(chain(3), chain(3), chain(2), (forward, c1, c2) => {
      // Chains only jump onwards: a circle is no ruleset that a kernel holds.
      const text = (name: string, list: typeof forward, allowed: string[]): string =>
        list
          .map(
            (r) =>
              `-A ${name}${r.mark ? " -m mark --mark 0x0/0x1" : ""} -m statistic --mode random --probability ${r.p} -j ${r.target.startsWith("C") && !allowed.includes(r.target) ? "RETURN" : r.target}`,
          )
          .join("\n");
      // Answers pass untouched, so that ways are not squared.
      const filter = [
        "-A FORWARD -s 10.2.0.0/24 -j ACCEPT",
        text("FORWARD", forward, ["C1", "C2"]),
        text("C1", c1, ["C2"]),
        text("C2", c2, []),
      ]
        .filter((t) => t !== "")
        .join("\n");
      const save = rules(filter).replace(":OUTPUT ACCEPT [0:0]\n", ":OUTPUT ACCEPT [0:0]\n:C1 - [0:0]\n:C2 - [0:0]\n");
      const a = ask(createWorld(line({ iptables: save })), { ...tcp, proto: "udp" });
      const den = a.outcomes.reduce((d, o) => d * BigInt(o.share!.den), 1n);
      const sum = a.outcomes.reduce((n, o) => n + (BigInt(o.share!.num) * den) / BigInt(o.share!.den), 0n);
      expect(sum).toBe(den);
    }),
    { numRuns: 40 },
  );
});
