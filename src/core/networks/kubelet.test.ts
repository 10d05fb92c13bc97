import { expect, test } from "vitest";
import { kubeProxy } from "./kube-proxy/index.ts";
import { rulesOf, testSite, type Recorded } from "./kube-proxy/testing/site.ts";
import { kubelet } from "./kubelet.ts";

const GUARD =
  '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" ' +
  "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";

const claims = (recorded: Recorded) => {
  const site = testSite({}, recorded);
  const [machine] = site.machines;
  return { own: kubelet.intend(site, machine), proxy: kubeProxy.intend(site, machine) };
};

test("hint, canaries and the guard of 127.0.0.0/8", () => {
  const { own } = claims({});
  expect(own.map((claim) => (claim.kind === "chain" ? JSON.stringify(claim.state) : claim.kind))).toHaveLength(11);
  expect(rulesOf(own, "mangle", "KUBE-IPTABLES-HINT", "ip6")).toEqual([]);
  expect(rulesOf(own, "filter", "KUBE-KUBELET-CANARY")).toEqual([]);
  expect(rulesOf(own, "filter", "KUBE-FIREWALL")).toEqual([GUARD]);
  expect(rulesOf(own, "filter", "KUBE-FIREWALL", "ip6")).toBeNull();
});

test("kube-proxy has KUBE-FIREWALL of IPv6, and of IPv4 where kubelet keeps none", () => {
  const files = { "kube-proxy.yaml": "mode: iptables" };
  const both = claims({ files });
  expect(rulesOf(both.proxy, "filter", "KUBE-FIREWALL")).toBeNull();
  expect(rulesOf(both.proxy, "filter", "KUBE-FIREWALL", "ip6")).toEqual([]);
  for (const recorded of [
    { files: { ...files, "kubelet.yaml": "makeIPTablesUtilChains: false" } },
    { files, commands: { kubelet: "kubelet --make-iptables-util-chains=false" } },
  ]) {
    const alone = claims(recorded);
    expect(alone.own).toEqual([]);
    expect(rulesOf(alone.proxy, "filter", "KUBE-FIREWALL")).toEqual([GUARD]);
  }
});
