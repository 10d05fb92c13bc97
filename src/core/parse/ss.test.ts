import { expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { ParseError } from "../model/source.ts";
import { parseSockets } from "./ss.ts";

/** What iproute2 6.1 printed on Linux 6.18 for one socket of each kind. */
const REAL = `raw UNCONN 0      0                               0.0.0.0:112  0.0.0.0:*
raw UNCONN 0      0                                 [::1]:89         *:*
raw UNCONN 0      0                                     *:58         *:*
udp UNCONN 0      0                     0.0.0.0%flannel.1:58   0.0.0.0:* ino:36277 sk:2 cgroup:/ <->
udp UNCONN 0      0                                     *:9053       *:* uid:1000 ino:37285 sk:3 cgroup:/ v6only:0 <->
udp UNCONN 0      0                                  [::]:55      [::]:* ino:36274 sk:5 cgroup:/ v6only:1 <->
udp UNCONN 0      0                         [2001:db8::1]:57      [::]:* ino:36276 sk:6 cgroup:/ v6only:1 <->
udp UNCONN 0      0                     [::ffff:10.0.0.1]:61         *:* ino:36279 sk:7 cgroup:/ v6only:0 <->
udp UNCONN 0      0      [fe80::dc0b:38ff:fee4:36ad]%eth0:546     [::]:* ino:37282 sk:8 cgroup:/ v6only:1 <->
tcp LISTEN 0      5                         10.0.0.1%eth0:84   0.0.0.0:* ino:36268 sk:c cgroup:/ <->   
tcp LISTEN 0      5                                *%eth0:86         *:* ino:36270 sk:11 cgroup:unreachable:9c1 v6only:0 <->
tcp LISTEN 0      5                             [::]%eth0:87      [::]:* ino:36271 sk:12 cgroup:/ v6only:1 <->
udp ESTAB  0      0                              10.0.0.1:56        10.0.0.9:99 ino:36275 sk:14 cgroup:/ <->
`;

test("ss -H -O -lntuwe", () => {
  const show = parseSockets(REAL, "sockets.txt").map((s) => [
    s.proto,
    s.family,
    s.ip === null ? "*" : formatIp(s.ip),
    s.port,
    s.dev,
    s.v6only,
    s.uid,
    s.remote === null ? null : `${formatIp(s.remote.ip)} ${s.remote.port}`,
  ]);
  expect(show).toEqual([
    ["raw", 4, "*", 112, null, false, 0, null],
    ["raw", 6, "::1", 89, null, false, 0, null],
    ["raw", 6, "*", 58, null, false, 0, null],
    ["udp", 4, "*", 58, "flannel.1", false, 0, null],
    ["udp", 6, "*", 9053, null, false, 1000, null],
    ["udp", 6, "*", 55, null, true, 0, null],
    ["udp", 6, "2001:db8::1", 57, null, true, 0, null],
    ["udp", 6, "::ffff:10.0.0.1", 61, null, false, 0, null],
    ["udp", 6, "fe80::dc0b:38ff:fee4:36ad", 546, "eth0", true, 0, null],
    ["tcp", 4, "10.0.0.1", 84, "eth0", false, 0, null],
    ["tcp", 6, "*", 86, "eth0", false, 0, null],
    ["tcp", 6, "*", 87, "eth0", true, 0, null],
    ["udp", 4, "10.0.0.1", 56, null, false, 0, "10.0.0.9 99"],
  ]);
  const sockets = parseSockets(REAL, "sockets.txt");
  expect(sockets[10]).toMatchObject({ cgroup: "unreachable:9c1", inode: 36270, state: "LISTEN", source: { line: 11 } });
});

test("[::] without v6only is IPv6 alone", () => {
  expect(parseSockets("tcp LISTEN 0 5 [::]:80 [::]:*\n", "f")[0]!.v6only).toBe(true);
});

test.each([
  "tcp LISTEN 0 5 0.0.0.0:80 0.0.0.0:*",
  "tcp LISTEN 0 5 0.0.0.0:80\n",
  "tcp LISTEN 0 5 0.0.0.0 0.0.0.0:*\n",
  "tcp LISTEN 0 5 ::1:80 [::]:*\n",
  "tcp LISTEN 0 5 [10.0.0.1]:80 *:*\n",
  "tcp LISTEN 0 5 0.0.0.0%:80 0.0.0.0:*\n",
  "tcp LISTEN 0 5 0.0.0.0:65536 0.0.0.0:*\n",
  "tcp LISTEN x 5 0.0.0.0:80 0.0.0.0:*\n",
  "tcp LISTEN 0 5 *:80 *:* v6only:2\n",
  "tcp LISTEN 0 5 *:80 *:* uid:root\n",
  "State Recv-Q\n",
  "\n",
])("refuses %j", (text) => expect(() => parseSockets(text, "f")).toThrow(ParseError));
