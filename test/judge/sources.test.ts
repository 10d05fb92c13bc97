import { expect, test } from "vitest";
import type { Answer, Question, Step } from "../../src/core/model/walk.ts";
import { judgeSources } from "./sources.ts";

const question: Question = { from: "n1/host", proto: "tcp", to: "10.96.0.1", port: 80 };

const FILES: Record<string, string> = {
  "n/iptables-save.txt": [
    "*filter",
    ":INPUT ACCEPT [3:180]",
    '[12:720] -A INPUT -p tcp -m comment --comment "a  b" -j KUBE-X',
    "-A INPUT -j DROP",
  ].join("\n"),
  "n/nft.txt": [
    "table ip t { # handle 1",
    "\tchain c {",
    "\t\ttype filter hook input priority filter; policy drop;",
    "\t\ttcp dport 80 counter packets 5 bytes 300 accept # handle 7",
    "\t}",
  ].join("\n"),
  "n/route4.json":
    '[{"dst":"default","gateway":"172.30.0.1","dev":"eth0"},{"dst":"10.244.1.0/24","gateway":"10.244.1.0","dev":"flannel.1"}]',
  "n/sysctl.txt": "net.ipv4.conf.all.rp_filter = 0\nnet.ipv4.conf.eth0.forwarding = 0",
  "n/sockets.txt": "tcp LISTEN 0 4096 *:8080 *:* ino:5 sk:1\ntcp LISTEN 0 4096 127.0.0.1:9100 0.0.0.0:*",
};

/** Notes on a step with this text that names this line. */
function notes(file: string, line: number, step: Partial<Step> & Pick<Step, "kind" | "text">): (string | undefined)[] {
  const answer: Answer = {
    format: "kubewalk.walk/v1",
    from: "n1/host",
    proto: "tcp",
    to: "10.96.0.1",
    port: 80,
    verdict: "answered",
    outcomes: [
      {
        share: { num: 1, den: 1 },
        client: "answered",
        disposition: "delivered",
        because: { text: "" },
        steps: [{ direction: "forward", at: "n1/host", layer: 0, ...step, source: { file, line } }],
      },
    ],
  };
  return judgeSources((f) => FILES[f], question, answer).map((d) => d.note);
}

test("rules stand in their line, whatever the counters and handles", () => {
  const text = '-A INPUT -p tcp -m comment --comment "a b" -j KUBE-X';
  expect(notes("n/iptables-save.txt", 3, { kind: "rule", chain: "INPUT", text })).toEqual([]);
  expect(notes("n/iptables-save.txt", 4, { kind: "rule", chain: "INPUT", text })).toEqual(["the line is another rule"]);
  expect(
    notes("n/nft.txt", 4, { kind: "rule", chain: "c", text: "tcp dport 80 counter packets 0 bytes 0 accept" }),
  ).toEqual([]);
  expect(notes("n/nft.txt", 4, { kind: "rule", chain: "c", text: "tcp dport 81 accept" })).toEqual([
    "the line is another rule",
  ]);
});

test("policies stand where their chain is declared", () => {
  expect(notes("n/iptables-save.txt", 2, { kind: "policy", chain: "INPUT", verdict: "accept", text: "" })).toEqual([]);
  expect(notes("n/iptables-save.txt", 2, { kind: "policy", chain: "INPUT", verdict: "drop", text: "" })).toEqual([
    "not the policy of INPUT",
  ]);
  expect(notes("n/nft.txt", 3, { kind: "policy", chain: "c", verdict: "drop", text: "" })).toEqual([]);
  expect(notes("n/nft.txt", 2, { kind: "policy", chain: "c", verdict: "drop", text: "" })).toEqual([
    "not a base chain's declaration",
  ]);
});

test("routes hold the prefixes, next hops and links that the text names", () => {
  expect(
    notes("n/route4.json", 1, { kind: "route", text: "10.244.1.7 matches 10.244.1.0/24 via 10.244.1.0 dev flannel.1" }),
  ).toEqual([]);
  expect(notes("n/route4.json", 1, { kind: "route", text: "0.0.0.0/0 via 172.30.0.1 dev eth0" })).toEqual([]);
  expect(notes("n/route4.json", 1, { kind: "route", text: "10.244.1.0/24 via 10.244.1.0 dev flannel" })).toEqual([
    "flannel does not stand there",
  ]);
  expect(notes("n/route4.json", 1, { kind: "route", text: "10.244.1.0/2 dev flannel.1" })).toEqual([
    "10.244.1.0/2 does not stand there",
  ]);
  expect(notes("n/route4.json", 1, { kind: "neighbour", text: "10.244.9.9 is reachable" })).toEqual([
    "none of 10.244.9.9 stands there",
  ]);
});

test("sysctls hold the key, sockets the port", () => {
  expect(notes("n/sysctl.txt", 2, { kind: "sysctl", text: "net.ipv4.conf.eth0.forwarding is 0" })).toEqual([]);
  expect(notes("n/sysctl.txt", 1, { kind: "sysctl", text: "net.ipv4.conf.eth0.forwarding is 0" })).toEqual([
    "the sysctl is another",
  ]);
  expect(notes("n/sockets.txt", 1, { kind: "socket", text: "tcp *:8080 listens" })).toEqual([]);
  expect(notes("n/sockets.txt", 2, { kind: "socket", text: "tcp *:8080 listens" })).toEqual([
    "the port does not stand there",
  ]);
});

test("a line that is not there is no source", () => {
  expect(notes("n/sockets.txt", 9, { kind: "socket", text: "x" })).toEqual(["no such line"]);
  expect(notes("n/absent.txt", 1, { kind: "link", text: "x" })).toEqual(["no such line"]);
});
