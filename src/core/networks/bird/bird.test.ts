import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hostBirdClaims } from "./claims.ts";
import { hostBirdConfig } from "./config.ts";
import type { HostBird } from "./host.ts";

const HOST: HostBird = {
  place: "n1/host",
  as: 4_200_000_011,
  services: ["192.0.2.11/32", "2001:db8::11/128"],
  uplinks: [
    { dev: "eth0", address: "172.20.236.225/31", router: "172.20.236.224", as: 65_001 },
    { dev: "eth1", address: "172.20.236.227/31", router: "172.20.236.226", as: 65_002 },
    { dev: "eth0", address: "fd00:1::1/127", router: "fd00:1::", as: 65_001 },
  ],
};
const CALICO = { address: "172.30.0.11", port: 1179, as: 64_512, prefixes: ["10.244.0.0/16"] };

test("both routers are ways of the default route, and the host's own address is the source", () => {
  const routes = hostBirdClaims(HOST).flatMap((claim) => (claim.kind === "route" ? [claim.state] : []));
  expect(routes).toEqual([
    {
      family: 4,
      table: 254,
      dst: "0.0.0.0/0",
      type: "unicast",
      metric: 32,
      protocol: "bird",
      src: "192.0.2.11",
      ways: [
        { via: "172.20.236.224", dev: "eth0", weight: 1 },
        { via: "172.20.236.226", dev: "eth1", weight: 1 },
      ],
    },
    expect.objectContaining({
      family: 6,
      dst: "::/0",
      src: "2001:db8::11",
      ways: [{ via: "fd00:1::", dev: "eth0", weight: 1 }],
    }),
  ]);
});

test("addresses on lo, settings, and with a table of its own the rules that lead to it", () => {
  const claims = hostBirdClaims({ ...HOST, services: ["192.0.2.11/32"], table: 100 });
  const text = claims.map((claim) => {
    switch (claim.kind) {
      case "address":
        return `${claim.state.address} on ${claim.state.dev}`;
      case "rule-lookup":
        return `${claim.state.priority}: ${claim.state.selector} ${claim.state.action}`;
      case "sysctl":
        return `${claim.state.key}=${claim.state.value}`;
      default:
        return `${claim.kind} in ${claim.kind === "route" ? claim.state.table : ""}`;
    }
  });
  expect(text).toEqual([
    "192.0.2.11/32 on lo",
    "route in 100",
    "1000: from all lookup main",
    "1001: from all lookup 100",
    "net.ipv4.fib_multipath_hash_policy=1",
    "net.ipv4.conf.eth0.rp_filter=2",
    "net.ipv4.conf.eth1.rp_filter=2",
  ]);
});

test("the configuration says the same", () => {
  const text = hostBirdConfig({ ...HOST, table: 100, behind: CALICO });
  for (const part of [
    "router id 192.0.2.11;",
    "  if net ~ [ 192.0.2.11/32, 10.244.0.0/16+ ] then accept;",
    "protocol kernel kernel4 {\n  kernel table 100;\n  scan time 20;\n  merge paths on;",
    "      krt_prefsrc = 192.0.2.11;",
    'protocol bgp tor_b {\n  local 172.20.236.227 as 4200000011;\n  neighbor 172.20.236.226 as 65002;\n  interface "eth1";',
    "  neighbor 172.30.0.11 port 1179 as 64512;",
  ])
    expect(text).toContain(part);
});

test.each([
  [{ ...HOST, services: ["192.0.2.0/24"] }, "192.0.2.0/24 should be a single address"],
  [{ ...HOST, services: [] }, "needs an address of its own"],
  [{ ...HOST, as: 65_001 }, "the router's AS 65001 is the host's own"],
  [{ ...HOST, uplinks: [{ ...HOST.uplinks[0]!, router: "fd00::1" }] }, "should be addresses of one family"],
])("a description that makes no sense", (host, message) => {
  expect(() => hostBirdClaims(host)).toThrow(message);
});

const installed = /BIRD version 2/.test(spawnSync("bird", ["--version"], { encoding: "utf8" }).stderr ?? "");

test.skipIf(!installed)("BIRD 2 reads it (skipped where it is not installed)", () => {
  const folder = mkdtempSync(join(tmpdir(), "kubewalk-bird-"));
  try {
    for (const host of [HOST, { ...HOST, table: 100, behind: CALICO }]) {
      writeFileSync(join(folder, "bird.conf"), hostBirdConfig(host));
      const ran = spawnSync("bird", ["-p", "-c", join(folder, "bird.conf")], { encoding: "utf8" });
      expect(ran.stderr).toBe("");
      expect(ran.status).toBe(0);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
