import { expect, test } from "vitest";
import { allFlags, flagOf, flagValues, switchOf } from "./flags.ts";

const words = (line: string): string[] => line.split(" ");

test("a flag with a value: one dash or two, = or the next word, the last counts", () => {
  const line = words("run -iface=eth0 --iface eth1 --node_ip ::1 --cloud-provider= --iface");
  expect(flagValues(line, "iface")).toEqual(["eth0", "eth1", ""]);
  expect(flagOf(line, "node-ip")).toBe("::1");
  expect(flagOf(line, "cloud-provider")).toBe("");
  expect(flagOf(line, "node")).toBeNull();
  // What follows is the value, whatever it looks like.
  expect(flagOf(words("--oom-score-adj -999"), "oom-score-adj")).toBe("-999");
});

test("a switch is on when it is named, unless = says otherwise", () => {
  const line = words("--ip-masq --kube-subnet-mgr=false -a=T --b=0 --a");
  expect(switchOf(line, "ip-masq")).toBe(true);
  expect(switchOf(line, "kube-subnet-mgr")).toBe(false);
  expect(switchOf(line, "a")).toBe(true);
  expect(switchOf(line, "b")).toBe(false);
  expect(switchOf(line, "c")).toBeNull();
});

test("all of them, where nobody knows which take a value", () => {
  expect([...allFlags(words("--config-dir /etc/x --debug --limit -1 -v=2 word --last"))]).toEqual([
    ["config-dir", "/etc/x"],
    ["debug", "true"],
    ["limit", "-1"],
    ["v", "2"],
    ["last", "true"],
  ]);
});
