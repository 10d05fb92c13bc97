import { expect, test } from "vitest";
import { nodeCacheSettings, nodeLocalClaims } from "./node-local-dns.ts";

/** Rules as a node with NodeLocal DNSCache 1.21 prints them (`iptables -S`, `-t raw -S`). */
const PRINTED = `
raw PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK
raw PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK
raw PREROUTING -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK
raw PREROUTING -d 169.254.20.10/32 -p tcp -m tcp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK
filter INPUT -d 10.96.0.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter INPUT -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter INPUT -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter INPUT -d 169.254.20.10/32 -p tcp -m tcp --dport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter OUTPUT -s 10.96.0.10/32 -p udp -m udp --sport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter OUTPUT -s 10.96.0.10/32 -p tcp -m tcp --sport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter OUTPUT -s 169.254.20.10/32 -p udp -m udp --sport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
filter OUTPUT -s 169.254.20.10/32 -p tcp -m tcp --sport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT
`
  .trim()
  .split("\n");

const words = "-localip 169.254.20.10,10.96.0.10 -conf /etc/Corefile -upstreamsvc kube-dns-upstream".split(" ");

test("rules of a real node, in their order", () => {
  const claims = nodeLocalClaims(nodeCacheSettings(words), "n1/host", null);
  const rules = claims.flatMap((claim) =>
    claim.kind === "rule" ? [`${claim.chain.table} ${claim.chain.chain} ${String(claim.state)}`] : [],
  );
  for (const chain of ["raw PREROUTING", "filter INPUT", "filter OUTPUT"])
    expect(rules.filter((rule) => rule.startsWith(chain)).map((rule) => rule.replace(" -p", " -p"))).toEqual(
      PRINTED.filter((rule) => rule.startsWith(chain)),
    );
  expect(rules.filter((rule) => rule.startsWith("raw OUTPUT"))).toHaveLength(12);
  expect(rules.find((rule) => rule.startsWith("raw OUTPUT"))).toBe(
    'raw OUTPUT -s 10.96.0.10/32 -p tcp -m tcp --sport 8080 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK',
  );
});

test("the dummy device with its addresses; IPv6; without iptables", () => {
  const v6 = nodeLocalClaims(nodeCacheSettings(["-localip=fd00::10", "-setupiptables=false"]), "n1/host", null);
  expect(v6.map((claim) => claim.kind)).toEqual(["link", "address"]);
  expect(v6[1]).toMatchObject({ state: { dev: "nodelocaldns", address: "fd00::10/128" } });
  expect(() => nodeCacheSettings(["-localip", "169.254.20.10,fd00::10"])).toThrow(/mixes IPv4 and IPv6/);
});
