/** Answers as the engine gives them, for tests of the text and of the schemas: a Service over VXLAN, and the ways to fail. */
import type { Answer, Outcome, Step } from "../../src/core/model/walk.ts";

const CLIENT = "n1/pod/shop/client-1";
const SERVICE = "10.96.26.216";
const files: Record<string, string> = {
  [CLIENT]: "nodes/n1/netns/4026532761",
  "n1/pod/shop/web-abc-1": "nodes/n1/netns/4026532617",
  "n2/pod/shop/web-abc-2": "nodes/n2/netns/4026532702",
  "n3/pod/shop/web-abc-3": "nodes/n3/netns/4026532803",
  "n1/host": "nodes/n1/host",
  "n2/host": "nodes/n2/host",
  "n3/host": "nodes/n3/host",
};

interface More extends Partial<Step> {
  file?: string;
  line?: number;
}

function step(at: string, kind: Step["kind"], text: string, more: More = {}): Step {
  const { file, line, ...rest } = more;
  const out: Step = { direction: "forward", at, kind, layer: 0, text, ...rest };
  if (file !== undefined) out.source = { file: `${files[at] ?? "nodes/?"}/${file}`, line: line ?? 1 };
  return out;
}

function rule(
  at: string,
  table: string,
  chain: string,
  line: number,
  text: string,
  verdict: string,
  more: More = {},
): Step {
  return step(at, "rule", `-A ${chain} ${text}`, {
    family: "ip",
    table,
    chain,
    verdict,
    file: "iptables-save.txt",
    line,
    ...more,
  });
}

function policy(at: string, table: string, chain: string, line: number, verdict = "accept", more: More = {}): Step {
  return step(at, "policy", `policy ${verdict}`, {
    family: "ip",
    table,
    chain,
    verdict,
    file: "iptables-save.txt",
    line,
    ...more,
  });
}

const CHAINS = ["KUBE-SEP-OLBUFZVHCJLG5LFW", "KUBE-SEP-XTJTEC7KOHLCQM25", "KUBE-SEP-2KRGQRMJ2NB6XTED"];
const BACKENDS = [
  { at: "n1/pod/shop/web-abc-1", address: "10.244.0.2" },
  { at: "n2/pod/shop/web-abc-2", address: "10.244.1.2" },
  { at: "n3/pod/shop/web-abc-3", address: "10.244.2.2" },
];

/** From the client's socket to the DNAT on n1: the same for every backend up to the statistic rule. */
function toService(i: number): Step[] {
  const backend = BACKENDS[i]!;
  const chain = CHAINS[i]!;
  const probability = [
    "-m statistic --mode random --probability 0.33333333349 ",
    "-m statistic --mode random --probability 0.50000000000 ",
    "",
  ][i]!;
  const comment = `-m comment --comment "shop/web:http -> ${backend.address}:8080" `;
  return [
    step(CLIENT, "rule-lookup", "0: from all lookup local", { file: "rule4.json" }),
    step(CLIENT, "rule-lookup", "32766: from all lookup main", { file: "rule4.json" }),
    step(CLIENT, "route", "default via 10.244.0.1 dev eth0", { file: "route4.json" }),
    step(CLIENT, "neighbour", "10.244.0.1 dev eth0 is not in the table: asked by ARP, n1/host cni0 answers"),
    step(CLIENT, "link", "eth0 is the other end of vethb27af9c9 of n1/host", { file: "addr.json" }),
    step("n1/host", "bridge", "cni0 takes the frame in from its port vethb27af9c9", { file: "bridge-link.json" }),
    rule(
      "n1/host",
      "nat",
      "PREROUTING",
      111,
      '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      "jump KUBE-SERVICES",
    ),
    rule(
      "n1/host",
      "nat",
      "KUBE-SERVICES",
      200,
      `-d ${SERVICE}/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-67NZLRHBNDSAWJRO`,
      "jump KUBE-SVC-67NZLRHBNDSAWJRO",
    ),
    rule(
      "n1/host",
      "nat",
      "KUBE-SVC-67NZLRHBNDSAWJRO",
      214 + i,
      `${comment}${probability}-j ${chain}`,
      `jump ${chain}`,
    ),
    rule(
      "n1/host",
      "nat",
      chain,
      [183, 195, 147][i]!,
      `-p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination ${backend.address}:8080`,
      "accept",
      {
        changed: { dst: backend.address, dport: 8080 },
      },
    ),
    step("n1/host", "sysctl", "net.ipv4.conf.cni0.forwarding = 1", { file: "sysctl.txt", line: 187 }),
  ];
}

function forwarded(at: string, chainLine = 32): Step[] {
  return [
    rule(
      at,
      "filter",
      "FORWARD",
      chainLine,
      '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      "jump KUBE-FORWARD",
    ),
    rule(
      at,
      "filter",
      "FORWARD",
      chainLine + 3,
      '-m comment --comment "flanneld forward" -j FLANNEL-FWD',
      "jump FLANNEL-FWD",
    ),
    rule(
      at,
      "filter",
      "FLANNEL-FWD",
      39,
      '-s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
      "accept",
    ),
  ];
}

function postrouting(at: string): Step[] {
  return [
    rule(
      at,
      "nat",
      "POSTROUTING",
      113,
      '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
      "jump KUBE-POSTROUTING",
    ),
    rule(at, "nat", "KUBE-POSTROUTING", 141, "-m mark ! --mark 0x4000/0x4000 -j RETURN", "return"),
    policy(at, "nat", "POSTROUTING", 58),
  ];
}

function confirmed(at: string, i: number): Step {
  const backend = BACKENDS[i]!;
  return step(at, "conntrack", "conntrack: new tcp connection, with its rewriting", {
    conntrack: {
      proto: "tcp",
      original: { src: "10.244.0.3", dst: SERVICE, sport: 40_000, dport: 80 },
      reply: { src: backend.address, dst: "10.244.0.3", sport: 8080, dport: 40_000 },
    },
  });
}

/** Through flannel.1 of n1 to node `n`: the outer packet is layer 1. */
function tunnelled(n: number): Step[] {
  const node = `n${n + 1}`;
  const outer = { layer: 1 };
  return [
    step("n1/host", "route", `10.244.${n}.0/24 via 10.244.${n}.0 dev flannel.1 onlink`, { file: "route4.json" }),
    ...forwarded("n1/host"),
    ...postrouting("n1/host"),
    confirmed("n1/host", n),
    step("n1/host", "neighbour", `10.244.${n}.0 lladdr 96:5b:9d:5c:be:39 dev flannel.1 PERMANENT`, {
      file: "neigh.json",
    }),
    step("n1/host", "fdb", `96:5b:9d:5c:be:39 dev flannel.1 dst 172.30.0.1${n + 1}`, { file: "fdb.json" }),
    step("n1/host", "tunnel", `flannel.1 wraps it: VXLAN 1, 172.30.0.11 → 172.30.0.1${n + 1} udp 8472`, {
      file: "addr.json",
      ...outer,
    }),
    step("n1/host", "route", "172.30.0.0/24 dev eth0 src 172.30.0.11", { file: "route4.json", ...outer }),
    rule("n1/host", "filter", "OUTPUT", 34, "-j KUBE-FIREWALL", "jump KUBE-FIREWALL", outer),
    policy("n1/host", "filter", "OUTPUT", 12, "accept", outer),
    step(
      "n1/host",
      "neighbour",
      `172.30.0.1${n + 1} dev eth0 is not in the table: asked by ARP, ${node}/host eth0 answers`,
      outer,
    ),
    step("n1/host", "fabric", `segment br0 carries it to ${node} eth0`, outer),
    rule(`${node}/host`, "filter", "INPUT", 28, "-j KUBE-FIREWALL", "jump KUBE-FIREWALL", outer),
    policy(`${node}/host`, "filter", "INPUT", 10, "accept", outer),
    step(`${node}/host`, "tunnel", "flannel.1 unwraps VXLAN 1", { file: "addr.json", ...outer }),
    step(`${node}/host`, "route", `10.244.${n}.0/24 dev cni0 src 10.244.${n}.1`, { file: "route4.json" }),
  ];
}

function delivered(n: number): Step[] {
  const backend = BACKENDS[n]!;
  return [
    step(backend.at, "route", `local ${backend.address} dev eth0`, { file: "route4.json" }),
    step(backend.at, "socket", "tcp LISTEN *:8080", { file: "sockets.txt" }),
  ];
}

function reply(n: number): Step[] {
  const backend = BACKENDS[n]!;
  const back = { direction: "reply" as const };
  const node = backend.at.split("/")[0]!;
  const through =
    node === "n1"
      ? []
      : [
          step(`${node}/host`, "route", "10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink", {
            file: "route4.json",
            ...back,
          }),
        ];
  return [
    step(backend.at, "route", `default via 10.244.${n}.1 dev eth0`, { file: "route4.json", ...back }),
    ...through,
    step("n1/host", "conntrack", "conntrack: reply, rewritten back", { ...back, changed: { src: SERVICE, sport: 80 } }),
    step("n1/host", "route", "10.244.0.0/24 dev cni0 src 10.244.0.1", { file: "route4.json", ...back }),
    step(CLIENT, "socket", "the connecting socket", back),
  ];
}

function success(n: number): Outcome {
  const backend = BACKENDS[n]!;
  const across =
    n === 0
      ? [...forwarded("n1/host"), ...postrouting("n1/host"), confirmed("n1/host", 0)]
      : [...tunnelled(n), ...forwarded(`n${n + 1}/host`), ...postrouting(`n${n + 1}/host`)];
  return {
    share: { num: 1, den: 3 },
    client: "answered",
    disposition: "delivered",
    server: { at: backend.at, address: backend.address, port: 8080, clientAddress: "10.244.0.3" },
    because: { text: "tcp LISTEN *:8080", source: { file: `${files[backend.at]}/sockets.txt`, line: 1 } },
    steps: [...toService(n), ...across, ...delivered(n), ...reply(n)],
  };
}

function answer(verdict: Answer["verdict"], outcomes: Outcome[], more: Partial<Answer> = {}): Answer {
  return { format: "kubewalk.walk/v1", from: CLIENT, proto: "tcp", to: SERVICE, port: 80, verdict, outcomes, ...more };
}

/** A Service whose three backends all answer, two of them through a tunnel. */
export const answered = answer("answered", [success(0), success(1), success(2)]);

const DROP = '-A FORWARD -i flannel.1 -m comment --comment "host firewall" -j DROP';

/** The same, but n3 drops what comes out of its tunnel. */
export const oneDropped = answer("mixed", [
  success(0),
  success(1),
  {
    share: { num: 1, den: 3 },
    client: "timeout",
    disposition: "dropped",
    because: { text: DROP, source: { file: "nodes/n3/host/iptables-save.txt", line: 30 } },
    steps: [
      ...toService(2),
      ...tunnelled(2),
      rule(
        "n3/host",
        "filter",
        "FORWARD",
        29,
        '-m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
        "jump KUBE-PROXY-FIREWALL",
      ),
      rule("n3/host", "filter", "FORWARD", 30, DROP.replace("-A FORWARD ", ""), "drop"),
    ],
  },
]);

/** From a host: masquerade, seen through marks. */
export const masqueraded: Answer = {
  format: "kubewalk.walk/v1",
  from: "n1/host",
  proto: "tcp",
  to: SERVICE,
  port: 80,
  verdict: "answered",
  outcomes: [
    {
      share: { num: 1, den: 1 },
      client: "answered",
      disposition: "delivered",
      server: { at: "n2/pod/shop/web-abc-2", address: "10.244.1.2", port: 8080, clientAddress: "10.244.0.0" },
      because: { text: "tcp LISTEN *:8080", source: { file: "nodes/n2/netns/4026532702/sockets.txt", line: 1 } },
      steps: [
        step("n1/host", "route", "default via 172.30.0.1 dev eth0", { file: "route4.json" }),
        rule("n1/host", "nat", "OUTPUT", 112, "-j KUBE-SERVICES", "jump KUBE-SERVICES"),
        rule(
          "n1/host",
          "nat",
          "KUBE-SERVICES",
          200,
          `-d ${SERVICE}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-67NZLRHBNDSAWJRO`,
          "jump KUBE-SVC-67NZLRHBNDSAWJRO",
        ),
        rule(
          "n1/host",
          "nat",
          "KUBE-SVC-67NZLRHBNDSAWJRO",
          213,
          `! -s 10.244.0.0/16 -d ${SERVICE}/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ`,
          "jump KUBE-MARK-MASQ",
        ),
        rule("n1/host", "nat", "KUBE-MARK-MASQ", 134, "-j MARK --set-xmark 0x4000/0x4000", "continue", {
          changed: { mark: 0x4000 },
        }),
        rule(
          "n1/host",
          "nat",
          "KUBE-SVC-67NZLRHBNDSAWJRO",
          216,
          "-j KUBE-SEP-XTJTEC7KOHLCQM25",
          "jump KUBE-SEP-XTJTEC7KOHLCQM25",
        ),
        rule(
          "n1/host",
          "nat",
          "KUBE-SEP-XTJTEC7KOHLCQM25",
          195,
          "-p tcp -m tcp -j DNAT --to-destination 10.244.1.2:8080",
          "accept",
          { changed: { dst: "10.244.1.2", dport: 8080 } },
        ),
        step("n1/host", "route", "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink", { file: "route4.json" }),
        rule("n1/host", "nat", "POSTROUTING", 113, "-j KUBE-POSTROUTING", "jump KUBE-POSTROUTING"),
        rule("n1/host", "nat", "KUBE-POSTROUTING", 142, "-j MARK --set-xmark 0x4000/0x0", "continue", {
          changed: { mark: 0 },
        }),
        rule(
          "n1/host",
          "nat",
          "KUBE-POSTROUTING",
          143,
          '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
          "accept",
          { changed: { src: "10.244.0.0" } },
        ),
        ...tunnelled(1).slice(-7),
        ...delivered(1),
        ...reply(1).slice(0, 2),
        step("n1/host", "conntrack", "conntrack: reply, rewritten back", {
          direction: "reply",
          changed: { src: SERVICE, sport: 80, dst: "172.30.0.11" },
        }),
        step("n1/host", "socket", "the connecting socket", { direction: "reply" }),
      ],
    },
  ],
};

/** Nothing listens on the port. */
export const refused = answer(
  "failed",
  [
    {
      share: { num: 1, den: 1 },
      client: "refused",
      disposition: "no-listener",
      because: { text: "no socket listens on tcp 7777" },
      steps: [
        step(CLIENT, "route", "10.244.0.0/24 dev eth0 src 10.244.0.3", { file: "route4.json" }),
        step("n1/pod/shop/web-abc-1", "route", "local 10.244.0.2 dev eth0", { file: "route4.json" }),
        step("n1/pod/shop/web-abc-1", "socket", "no socket listens on tcp 7777"),
      ],
    },
  ],
  { to: "10.244.0.2", port: 7777 },
);

/** No route for the family: the send itself fails. */
export const unreachable = answer(
  "failed",
  [
    {
      share: { num: 1, den: 1 },
      client: "network-unreachable",
      disposition: "no-route",
      because: { text: "no route to 2001:db8::1", source: { file: `${files[CLIENT]}/route6.json`, line: 1 } },
      steps: [step(CLIENT, "route", "no route to 2001:db8::1", { file: "route6.json" })],
    },
  ],
  { to: "2001:db8::1", port: 443 },
);

/** A program on the way that is not modelled. */
export const unknown = answer("inconclusive", [
  {
    share: { num: 1, den: 1 },
    client: "inconclusive",
    disposition: "inconclusive",
    because: { text: "a tc program on eth0 may drop or redirect", source: { file: "nodes/n1/host/tc.json", line: 12 } },
    steps: [...toService(1), step("n1/host", "program", "tc clsact on eth0", { file: "tc.json", line: 12 })],
  },
]);

/** Two ends that hang on something that is not known: no shares, and no verdict. */
export const either = answer("inconclusive", [
  { ...success(1), share: null, because: { text: "tcp LISTEN *:8080 (only if so: -m bpf is not modelled)" } },
  {
    share: null,
    client: "timeout",
    disposition: "dropped",
    because: {
      text: "-A INPUT -m bpf --bytecode 1,6 0 0 0 -j DROP (only if so: -m bpf is not modelled)",
      source: { file: "nodes/n2/host/iptables-save.txt", line: 27 },
    },
    steps: toService(1),
  },
]);

/** The reply dies: forward through, back dropped. */
export const replyDropped = answer("failed", [
  {
    share: { num: 1, den: 1 },
    client: "timeout",
    disposition: "rp-filter",
    because: {
      text: "net.ipv4.conf.eth0.rp_filter = 1, the way back to 10.244.1.2 is not through eth0",
      source: { file: "nodes/n1/host/sysctl.txt", line: 402 },
    },
    steps: [
      ...toService(1),
      ...tunnelled(1).slice(0, 1),
      ...delivered(1),
      step("n2/pod/shop/web-abc-2", "route", "default via 10.244.1.1 dev eth0", {
        direction: "reply",
        file: "route4.json",
      }),
      step("n2/host", "route", "default via 172.30.0.1 dev eth0", { direction: "reply", file: "route4.json" }),
      step("n1/host", "sysctl", "net.ipv4.conf.eth0.rp_filter = 1", {
        direction: "reply",
        file: "sysctl.txt",
        line: 402,
        verdict: "drop",
      }),
    ],
  },
]);

/** Twenty backends of unequal shares, some unknown to the reader's eye, without steps. */
export const manyBackends = answer(
  "mixed",
  Array.from({ length: 20 }, (_, i): Outcome => {
    const address = `10.244.${i}.2`;
    const fails = i === 7;
    const because = fails
      ? { text: "10.244.7.0 dev flannel.1 FAILED", source: { file: "nodes/n1/host/neigh.json", line: 1 } }
      : { text: "tcp LISTEN *:8080" };
    return {
      share: i === 19 ? { num: "12345678901234567890", den: "123456789012345678900" } : { num: 9, den: 190 },
      client: fails ? "host-unreachable" : "answered",
      disposition: fails ? "neighbour-unreachable" : "delivered",
      ...(fails ? {} : { server: { at: `n${i}/pod/shop/web-${i}`, address, port: 8080, clientAddress: "10.244.0.3" } }),
      because,
    };
  }),
);

/** Every canned answer by name. */
export const answers: Record<string, Answer> = {
  answered,
  oneDropped,
  masqueraded,
  refused,
  unreachable,
  unknown,
  either,
  replyDropped,
  manyBackends,
};
