import { readdirSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSnapshot } from "../../../host/snapshot/load.ts";
import { siteOf } from "../site-of.ts";
import { kubeletDns, type KubeletDns } from "./kubelet-dns.ts";
import { podDns, podDnsWish, podResolvConfText, resolvConfDifferences, type PodDnsWish } from "./pod-dns.ts";
import { parseResolvConf } from "./resolv-conf.ts";

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures", import.meta.url));
const recordings = existsSync(FIXTURES) ? readdirSync(FIXTURES).filter((name) => !name.includes(".")) : [];

describe("every pod's resolv.conf is what kubelet would write", () => {
  test("there are recordings", (context) => {
    if (recordings.length === 0) context.skip(`no recordings in ${FIXTURES}`);
    expect(recordings.length).toBeGreaterThan(0);
  });
  for (const name of recordings)
    test(name, async () => {
      const snapshot = await loadSnapshot(`${FIXTURES}/${name}/snapshot`);
      const site = siteOf(snapshot);
      let compared = 0;
      for (const ns of snapshot.namespaces) {
        const text = snapshot.text(`${ns.dir}/resolv.conf`);
        const machine = site.machines.find((each) => each.name === ns.node);
        const pod = snapshot.cluster.pods.find(
          (each) => each.name === ns.pod?.name && each.namespace === ns.pod.namespace,
        );
        if (text === undefined || machine === undefined || pod === undefined) continue;
        const kubelet = kubeletDns(machine);
        const wish = podDnsWish(snapshot.cluster, pod);
        if (kubelet === null || wish === null) throw new Error(`${ns.place}: nothing to compute from`);
        expect(resolvConfDifferences(podDns(wish, kubelet).conf, parseResolvConf(text))).toEqual([]);
        expect(podResolvConfText(wish, kubelet).trim()).toBe(text.trim());
        compared++;
      }
      expect(compared).toBeGreaterThan(5);
    });
});

const kubelet: KubeletDns = {
  clusterDns: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  host: { nameservers: ["203.0.113.10", "203.0.113.11"], search: ["example.com"], options: ["timeout:2"] },
  nodeIps: ["192.0.2.1"],
};
const wish: PodDnsWish = {
  namespace: "shop",
  hostNetwork: false,
  policy: "ClusterFirst",
  nameservers: [],
  searches: [],
  options: [],
};

describe("dnsPolicy", () => {
  const cluster =
    "search shop.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n";
  const host = "search example.com\nnameserver 203.0.113.10\nnameserver 203.0.113.11\noptions timeout:2\n";
  const cases: [string, Partial<PodDnsWish>, Partial<KubeletDns>, string][] = [
    ["ClusterFirst", {}, {}, cluster],
    ["ClusterFirst on the host's network is Default", { hostNetwork: true }, {}, host],
    ["ClusterFirstWithHostNet", { policy: "ClusterFirstWithHostNet", hostNetwork: true }, {}, cluster],
    ["Default", { policy: "Default" }, {}, host],
    ["ClusterFirst without cluster DNS falls back", {}, { clusterDns: [] }, host],
    ["Default with --resolv-conf empty", { policy: "Default" }, { host: null }, "search .\nnameserver 127.0.0.1\n"],
    ["no cluster domain", {}, { clusterDomain: "" }, "search example.com\nnameserver 10.96.0.10\noptions ndots:5\n"],
    [
      "None takes dnsConfig alone",
      {
        policy: "None",
        nameservers: ["192.0.2.53"],
        searches: ["a.example."],
        options: [
          { name: "ndots", value: "2" },
          { name: "use-vc", value: null },
        ],
      },
      {},
      "search a.example.\nnameserver 192.0.2.53\noptions ndots:2 use-vc\n",
    ],
    [
      "dnsConfig is merged, options by name, doubles left out",
      {
        nameservers: ["10.96.0.10", "192.0.2.53"],
        searches: ["example.com", "b.example"],
        options: [{ name: "ndots", value: "1" }],
      },
      {},
      "search shop.svc.cluster.local svc.cluster.local cluster.local example.com b.example\nnameserver 10.96.0.10\nnameserver 192.0.2.53\noptions ndots:1\n",
    ],
  ];
  test.each(cases)("%s", (_name, wished, told, text) => {
    expect(podResolvConfText({ ...wish, ...wished }, { ...kubelet, ...told })).toBe(text);
  });

  test("limits: 3 servers, 32 names, 253 characters a name, 2048 in all, each with kubelet's event", () => {
    const many = podDns({ ...wish, nameservers: ["192.0.2.1", "192.0.2.2", "192.0.2.3"] }, kubelet);
    expect(many.conf.nameservers).toEqual(["10.96.0.10", "192.0.2.1", "192.0.2.2"]);
    expect(many.events[0]).toBe("there are more than 3 servers; of them are left: 10.96.0.10 192.0.2.1 192.0.2.2");
    const names = Array.from({ length: 40 }, (_, i) => `n${i}.example`);
    expect(podDns({ ...wish, searches: names }, kubelet).conf.search).toHaveLength(32);
    expect(podDns({ ...wish, searches: ["x".repeat(254), "ok.example"] }, kubelet).conf.search.at(-1)).toBe(
      "ok.example",
    );
    const wide = Array.from({ length: 12 }, (_, i) => `${String(i).padStart(2, "0")}${"y".repeat(200)}`);
    const cut = podDns({ ...wish, searches: wide }, kubelet);
    expect(cut.conf.search.join(" ").length).toBeLessThanOrEqual(2048);
    expect([...cut.conf.search, wide[cut.conf.search.length - 4]].join(" ").length).toBeGreaterThan(2048);
    expect(cut.events).toHaveLength(1);
  });
});
