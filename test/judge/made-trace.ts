/** Traces as the recorder would have written them, made by hand. */
import type { Probe, Trace } from "./truth.ts";

/** A packet as one namespace sees it. */
export interface Sent {
  /** iif or oif. */
  link: string;
  src: string;
  dst: string;
  id: number;
  ttl?: number;
  flags?: string;
  sport: number;
  dport: number;
  udp?: boolean;
  length?: number;
}

let ids = 0;

/** One packet passing one namespace: the recorder's chain, then `TABLE CHAIN` with `CHAIN: VERDICT` lines, `policy accept` being one. */
export function passing(hook: "p" | "o", p: Sent, chains: Record<string, string[]> = {}): string {
  const id = (++ids).toString(16).padStart(8, "0");
  const ports = p.udp
    ? `udp sport ${p.sport} udp dport ${p.dport} udp length ${p.length! - 20} @th,64,96 0x8`
    : `tcp sport ${p.sport} tcp dport ${p.dport} tcp flags == ${p.flags ?? "syn"} tcp window 64240`;
  const ip = (proto: string): string =>
    `ip saddr ${p.src} ip daddr ${p.dst} ip dscp cs0 ip ecn not-ect ip ttl ${p.ttl ?? 64} ip id ${p.id} ${proto}ip length ${p.length ?? 60} ${ports} `;
  const link = `${hook === "p" ? "iif" : "oif"} "${p.link}"`;
  const lines = [`trace id ${id} inet kwtrace ${hook} packet: ${link} ${ip(`ip protocol ${p.udp ? "udp" : "tcp"} `)}`];
  for (const [base, events] of Object.entries(chains)) {
    lines.push(`trace id ${id} ip ${base} packet: ${link} ${ip("")}`);
    const [table, chain] = base.split(" ");
    for (const e of events) {
      if (e.startsWith("policy ")) lines.push(`trace id ${id} ip ${table} ${chain} ${e} `);
      else
        lines.push(
          `trace id ${id} ip ${table} ${e.split(": ")[0]} rule counter packets 1 bytes 60 (verdict ${e.split(": ")[1]})`,
        );
    }
  }
  return lines.join("\n");
}

export const CLIENT = "10.244.0.5";
export const SERVICE = "10.96.0.1";
export const SERVER = "10.244.1.7";
export const syn = (more: Partial<Sent> = {}): Sent => ({
  link: "eth0",
  src: CLIENT,
  dst: SERVICE,
  id: 777,
  sport: 40000,
  dport: 80,
  ...more,
});
export const back = (more: Partial<Sent> = {}): Sent => ({
  link: "eth0",
  src: SERVER,
  dst: CLIENT,
  id: 0,
  sport: 8080,
  dport: 40000,
  flags: "0x12",
  ...more,
});
export const outer = (src: string, dst: string, id: number): Sent => ({
  link: "eth0",
  src,
  dst,
  id,
  sport: 51000,
  dport: 8472,
  udp: true,
  length: 110,
});

export const NAT = { "nat PREROUTING": ["PREROUTING: jump KUBE-SERVICES", "KUBE-SEP: accept"] };

/** A pod on n1 asks a Service, whose backend is a pod on n2, through VXLAN. */
export function trace(): Trace {
  const probe: Probe = {
    from: "n1/pod/shop/client",
    proto: "tcp",
    to: SERVICE,
    port: 80,
    tries: 1,
    outcomes: { delivered: 1 },
    servers: { web: 1 },
    clientAddresses: { [CLIENT]: 1 },
    answers: [{ server: "web", clientAddress: CLIENT, count: 1 }],
    clientPorts: [40000],
  };
  const other = syn({ id: 5, src: "10.244.0.9", sport: 1 });
  return {
    probe,
    nft: {
      "n1/host": [
        passing("p", other, { "nat PREROUTING": ["PREROUTING: drop"] }),
        passing("p", syn({ link: "cni0" }), { ...NAT, "filter FORWARD": ["policy accept"] }).replace(
          /(nat.*\n.*filter FORWARD packet.*)daddr 10.96.0.1(.*)dport 80 /,
          "$1daddr 10.244.1.7$2dport 8080 ",
        ),
        passing("o", outer("172.30.0.11", "172.30.0.12", 900), { "filter OUTPUT": ["policy accept"] }),
        passing("p", outer("172.30.0.12", "172.30.0.11", 901), { "filter INPUT": ["policy accept"] }),
        passing("p", back({ link: "flannel.1", ttl: 63 }), { "filter FORWARD": ["FORWARD: accept"] }),
        passing("p", syn({ link: "cni0", flags: "ack", id: 778 }), { "filter FORWARD": ["FORWARD: drop"] }),
      ].join("\n"),
      "n2/host": [
        passing("p", outer("172.30.0.11", "172.30.0.12", 900), { "filter INPUT": ["policy accept"] }),
        passing("p", syn({ link: "flannel.1", dst: SERVER, dport: 8080, ttl: 63 }), {
          "filter FORWARD": ["FORWARD: jump KUBE-FORWARD", "policy accept"],
        }),
        passing("p", back({ link: "cni0" }), { "filter FORWARD": ["FORWARD: accept"] }),
        passing("o", outer("172.30.0.12", "172.30.0.11", 901), { "filter OUTPUT": ["policy accept"] }),
      ].join("\n"),
      "fabric/host": [
        passing("p", outer("172.30.0.11", "172.30.0.12", 900)),
        passing("p", outer("172.30.0.12", "172.30.0.11", 901)),
      ].join("\n"),
      "n1/pod/shop/client": passing("o", syn()),
    },
    conntrack: {
      "n1/host": [
        `ipv4     2 tcp      6 119 TIME_WAIT src=${CLIENT} dst=${SERVICE} sport=40000 dport=80 src=${SERVER} dst=${CLIENT} sport=8080 dport=40000 [ASSURED] mark=0 use=1`,
      ],
    },
  };
}
