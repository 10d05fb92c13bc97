/** Whatever becomes of a file: a parser answers, or says where it is malformed. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { IpSet } from "../model/ipset.ts";
import { ParseError } from "../model/source.ts";
import { emptyCluster, parseClusterResource } from "./cluster.ts";
import { parseCommands } from "./commands.ts";
import { parseConntrack } from "./conntrack.ts";
import { parseFabric } from "./fabric.ts";
import { parseIpset, printIpset } from "./ipset.ts";
import { parseIpvs } from "./ipvs.ts";
import { parseNetns } from "./netns.ts";
import { parseSnapshotJson } from "./snapshot-json.ts";
import { parseSockets } from "./ss.ts";
import { parseSysctl } from "./sysctl.ts";
import { parseXtRecent } from "./xt-recent.ts";

const cluster = (resource: string) => (text: string, file: string) =>
  parseClusterResource(text, file, resource, emptyCluster());

/** Sets without the lines on which they stand. */
const bare = (sets: readonly IpSet[]): string =>
  JSON.stringify(sets, (key, value: unknown) => (key === "source" || key === "line" ? undefined : value));

const SAMPLES: Record<string, [parse: (text: string, file: string) => unknown, text: string]> = {
  ipset: [
    (text, file) => {
      const sets = parseIpset(text, file);
      // What was understood prints as something that is understood the same.
      const again = parseIpset(printIpset(sets), file);
      expect(bare(again)).toBe(bare(sets));
    },
    `create a hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 600 counters comment
add a 10.0.0.1,icmp:echo-request timeout 599 packets 0 bytes 0 comment "x y"
create n hash:net,iface family inet6 hashsize 1024 maxelem 65536
add n 2001:db8::/32,physdev:cali nomatch wildcard
create im hash:ip family inet netmask 24
add im 10.0.0.0
create b bitmap:ip,mac range 10.9.0.0-10.9.0.255
add b 10.9.0.4,00:11:22:33:44:55
create m hash:ip,mark family inet markmask 0x000000ff
add m 10.0.0.1,0x00000012
create l list:set size 8
add l a
`,
  ],
  ipvs: [
    parseIpvs,
    `-A -t 10.96.0.1:443 -s rr -p 10800
-a -t 10.96.0.1:443 -r 172.30.0.10:6443 -m -w 1
-A -f 7 -6 -s sh -b sh-port
-a -f 7 -6 -r [fd00::1]:0 -i -w 1 --tun-type gue --tun-port 6080
`,
  ],
  conntrack: [
    parseConntrack,
    `ipv4     2 tcp      6 86387 ESTABLISHED src=10.0.0.1 dst=10.96.0.1 sport=1 dport=443 packets=30 bytes=2104 src=172.30.0.10 dst=172.30.0.11 sport=6443 dport=6 [ASSURED] mark=5 zone=1 use=1
ipv6     10 icmpv6   58 99 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=9 [UNREPLIED] src=2001:db8::2 dst=2001:db8::1 type=129 code=0 id=9 mark=0 secctx=a:b:c use=1
ipv4     2 gre      47 99 src=10.0.0.1 dst=10.0.0.2 srckey=0x10 dstkey=0x20 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 srckey=0x20 dstkey=0x10 mark=0 use=1
`,
  ],
  ss: [
    parseSockets,
    `raw UNCONN 0      0                                     *:58         *:*
udp UNCONN 0      0                     0.0.0.0%flannel.1:58   0.0.0.0:* ino:36277 sk:2 cgroup:/ <->
tcp LISTEN 0      5      [fe80::dc0b:38ff:fee4:36ad]%eth0:87      [::]:* uid:7 ino:36271 sk:12 cgroup:/ v6only:1 <->
`,
  ],
  sysctl: [
    parseSysctl,
    "net.core.somaxconn = 4096\nnet.ipv4.ip_local_port_range = 32768\t60999\nnet.ipv4.ip_local_reserved_ports = \n",
  ],
  "xt-recent": [parseXtRecent, "== A\nsrc=10.0.0.1 ttl: 64 last_seen: 12 oldest_pkt: 2 11, 12\n== B\n"],
  commands: [
    parseCommands,
    '[\n{"file":"host/a","command":"a -b","exit":0,"stderr":"x","bytes":5,"seconds":0.1},\n{"file":"b","command":"b","exit":1}]\n',
  ],
  netns: [
    parseNetns,
    '{"inode": 4026532617, "pid": 509, "path": "/run/netns/x", "pod": {"namespace": "shop", "name": "web"}}\n',
  ],
  fabric: [
    parseFabric,
    '{"format":"kubewalk.fabric/v1","segments":[\n{"name":"br0","attached":[["n1","eth0"],["n2","eth0"]]}],"routers":["r"],"external":["o"]}\n',
  ],
  "snapshot.json": [
    parseSnapshotJson,
    '{"format":"kubewalk.snapshot/v1","takenAt":"x","nodes":["a","b"],"more":{"x":[1]}}\n',
  ],
  pods: [
    cluster("pods"),
    '{"kind":"List","items":[\n{"kind":"Pod","metadata":{"namespace":"a","name":"b","labels":{"x":"y"}},"spec":{"nodeName":"n1","containers":[{"ports":[{"containerPort":80,"hostPort":8080}]}]},"status":{"podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"}]}}]}\n',
  ],
  services: [
    cluster("services"),
    '{"kind":"List","items":[\n{"metadata":{"name":"b"},"spec":{"clusterIP":"10.96.0.1","selector":{"a":"b"},"ports":[{"port":80,"targetPort":"http","nodePort":30000}]},"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}}]}\n',
  ],
  slices: [
    cluster("endpointslices.discovery.k8s.io"),
    '{"kind":"List","items":[\n{"metadata":{"name":"b","labels":{"kubernetes.io/service-name":"s"}},"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"p"}}]}]}\n',
  ],
  nodes: [
    cluster("nodes"),
    '{"kind":"List","items":[\n{"metadata":{"name":"b"},"spec":{"podCIDRs":["10.0.0.0/24"]},"status":{"addresses":[{"type":"InternalIP","address":"1.2.3.4"}]}}]}\n',
  ],
};

/** One damage: at a place in the text, some of it goes and something else comes. */
const damage = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.constant(0), fc.constant(1), fc.nat(40), fc.constant(1e9)),
  insert: fc.oneof(
    fc.constant(""),
    fc.string({ maxLength: 6, unit: "binary" }),
    fc.constantFrom(
      "\n",
      " ",
      "0",
      "-1",
      "99999999999999999999",
      '"',
      "{",
      "}",
      "[",
      "null",
      ":",
      ",",
      "=",
      "__proto__",
      "%",
      "::",
    ),
  ),
});

const mutate = (text: string, damages: readonly { at: number; remove: number; insert: string }[]): string =>
  damages.reduce((t, { at, remove, insert }) => {
    const from = Math.floor(at * t.length);
    return t.slice(0, from) + insert + t.slice(from + remove);
  }, text);

test.each(Object.entries(SAMPLES))("%s", (_name, [parse, text]) => {
  expect(() => parse(text, "f")).not.toThrow();
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (damages) => {
      const damaged = mutate(text, damages);
      try {
        parse(damaged, "f");
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
        const lines = damaged.split("\n").length;
        expect(error.source.file).toBe("f");
        expect(error.source.line).toBeGreaterThan(0);
        expect(error.source.line).toBeLessThanOrEqual(lines);
      }
    }),
    { numRuns: 1500, seed: 20261120 },
  );
});
