import { expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { sysctlConf, sysctlNumber, sysctlSource } from "../model/sysctl.ts";
import { parseSysctl } from "./sysctl.ts";

const long = "x".repeat(100_000);
const TEXT = `net.ipv4.conf.flannel/1.forwarding = 1
net.ipv4.ip_local_port_range = 32768\t60999
net.ipv4.ip_local_reserved_ports = 
net.ipv4.tcp_congestion_control = a = b
net.long = ${long}
net.empty =
`;

test("sysctl -a", () => {
  const s = parseSysctl(TEXT, "sysctl.txt");
  expect(sysctlNumber(s, sysctlConf("ipv4", "flannel.1", "forwarding"), 0)).toBe(1);
  expect(s.values.get("net.ipv4.ip_local_port_range")).toEqual({ value: "32768\t60999", line: 2 });
  expect(s.values.get("net.ipv4.ip_local_reserved_ports")).toEqual({ value: "", line: 3 });
  expect(s.values.get("net.ipv4.tcp_congestion_control")!.value).toBe("a = b");
  expect(s.values.get("net.long")!.value).toBe(long);
  expect(s.values.get("net.empty")!.value).toBe("");
  expect(sysctlSource(s, "net.long")).toEqual({ file: "sysctl.txt", line: 5 });
});

test.each(["net.a = 1", "net.a\n", "= 1\n", "net.a b = 1\n", "net.a =1\n", "\n"])("refuses %j", (text) =>
  expect(() => parseSysctl(text, "sysctl.txt")).toThrow(ParseError),
);
