import { expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { ParseError } from "../model/source.ts";
import { parseIpvs } from "./ipvs.ts";

/** In ipvsadm's own format (ipvsadm.c, print_service_entry), with every option that it can print. */
const SAVED = `-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 172.30.0.10:6443 -m -w 1
-A -u 10.96.0.10:53 -s wrr -p 10800 -M 255.255.255.0
-a -u 10.96.0.10:53 -r 10.244.0.2:53 -m -w 2
-a -u 10.96.0.10:53 -r 10.244.1.2:53 -g -w 0
-A -t [fd00:96::1]:80 -s sh -M 64 -o -b sh-fallback,sh-port
-a -t [fd00:96::1]:80 -r [fd00:10::2]:8080 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-A --sctp-service 10.96.0.9:9 -s lc --pe sip
-A -f 7 -s rr
-a -f 7 -r 10.244.0.9:0 -i -w 1 --tun-type ipip
-A -f 7 -6 -s rr
`;

test("ipvsadm -S -n", () => {
  const services = parseIpvs(SAVED, "ipvs.txt");
  expect(
    services.map((s) => [s.proto, s.ip && formatIp(s.ip), s.port, s.fwmark, s.scheduler, s.persistent, s.flags]),
  ).toEqual([
    [6, "10.96.0.1", 443, null, "rr", null, []],
    [17, "10.96.0.10", 53, null, "wrr", 10800, ["-M 255.255.255.0"]],
    [6, "fd00:96::1", 80, null, "sh", null, ["-M 64", "-o", "-b sh-fallback,sh-port"]],
    [132, "10.96.0.9", 9, null, "lc", null, ["--pe sip"]],
    [null, null, 0, 7, "rr", null, []],
    [null, null, 0, 7, "rr", null, ["-6"]],
  ]);
  expect(services[1]!.reals.map((r) => [formatIp(r.ip), r.port, r.method, r.weight, r.source.line])).toEqual([
    ["10.244.0.2", 53, "masq", 2, 4],
    ["10.244.1.2", 53, "gatewaying", 0, 5],
  ]);
  expect(services[2]!.reals[0]).toMatchObject({ method: "ipip", tunnel: { type: "gue", port: 6080 } });
});

test.each([
  "-A -t 10.96.0.1:443 -s rr",
  "-A -t 10.96.0.1 -s rr\n",
  "-A -t 10.96.0.1:443\n",
  "-A -t 10.96.0.1:443 -s\n",
  "-A -t 10.96.0.1:443 -s rr --new 1\n",
  "-A -t 10.96.0.1:443 -s rr\n-A -t 10.96.0.1:443 -s rr\n",
  "-A -x 10.96.0.1:443 -s rr\n",
  "-A -f mark -s rr\n",
  "-a -t 10.96.0.1:443 -r 10.0.0.1:1 -m -w 1\n",
  "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.0.0.1:1 -m\n",
  "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.0.0.1:1 -w 1\n",
  "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -m -w 1\n",
  "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.0.0.1:1 -m -w heavy\n",
  "hello\n",
  "\n",
])("refuses %j", (text) => expect(() => parseIpvs(text, "ipvs.txt")).toThrow(ParseError));
