import { expect, test } from "vitest";
import { chainName, hostDeviceName, limitedId, ruleHashes, setName, uniqueId, vtepMac } from "./names.ts";

test("names of devices", () => {
  // libcalico-go/lib/backend/k8s/conversion/conversion_test.go: pod podB of the namespace default.
  expect(hostDeviceName("cali", "default", "podB")).toBe("cali92cf1f5e9f6");
  expect(vtepMac("n1", 4)).toBe("66:40:b3:ea:b6:3f");
});

test("names of chains keep what is short enough and hash the rest", () => {
  expect(chainName("cali-tw-", "cali92cf1f5e9f6")).toBe("cali-tw-cali92cf1f5e9f6");
  expect(chainName("cali-pi-", "knp/shop/default-deny-ingress")).toBe("cali-pi-_0_iCoff_jpURkJFfXgc");
  // A whole name that looks like a hash is hashed, so that no two things have one name.
  expect(limitedId("cali-pi-", "x".repeat(20), 28)).toBe(`cali-pi-${"x".repeat(20)}`);
  expect(limitedId("cali-pi-", `_${"x".repeat(19)}`, 28)).not.toContain("xxxxx");
});

test("names of sets come of what they hold", () => {
  const selector =
    '(projectcalico.org/namespace == "shop" && (projectcalico.org/orchestrator == "k8s" && app == "client"))';
  expect(setName(4, uniqueId("s", selector))).toBe("cali40s:s5AS7YPbgJrZVj_0vqawL6X");
  expect(setName(4, "all-vxlan-net")).toBe("cali40all-vxlan-net");
  expect(setName(6, "this-host")).toBe("cali60this-host");
});

test("hashes of rules depend on those before", () => {
  const rule = "oifname calie348dfc8dda arp operation reply arp saddr ip 10.244.40.129 counter drop";
  expect(ruleHashes("filter-cali-arp-calie348dfc8dda", [rule])).toEqual(["g14LYef7Qks7FFay"]);
  const [first, second] = ruleHashes("filter-cali-arp-calie348dfc8dda", [rule, rule]);
  expect(first).toBe("g14LYef7Qks7FFay");
  expect(second).not.toBe(first);
});
