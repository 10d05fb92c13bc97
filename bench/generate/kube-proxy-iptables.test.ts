import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatIp } from "../../src/core/model/address.ts";
import type { XtChain, XtRuleset } from "../../src/core/model/xtables.ts";
import { parseIptablesSave } from "../../src/core/parse/iptables-save.ts";
import { printIptablesSave } from "../../src/core/parse/iptables/print.ts";
import { generateKubeProxyIptables, kubeHash, kubeProxyServices, printedProbability } from "./kube-proxy-iptables.ts";

const options = { services: 40, endpointsPerService: 3, nodes: 4 };
const RECORDED = join(
  import.meta.dirname,
  "../../../shared/fixtures/flannel-vxlan-iptables/snapshot/nodes/n1/host/iptables-save.txt",
);

const natChains = (ruleset: XtRuleset): Map<string, XtChain> =>
  new Map(ruleset.tables.find((table) => table.name === "nat")!.chains.map((chain) => [chain.name, chain]));

const undated = (save: string): string => save.replace(/^# .*\n/gm, "");

/** Rules of a chain with names and numbers taken out. */
const form = (text: string, prefix: string, pick: RegExp): string[] => {
  const chain = pick.exec(text)?.[1] ?? "";
  expect(chain).not.toBe("");
  return text
    .split("\n")
    .filter((line) => line.includes(`-A ${prefix}${chain} `))
    .map((line) =>
      line
        .replace(/^\[[0-9:]+\] /, "")
        .replace(/KUBE-(SVC|SEP)-[A-Z2-7]{16}/g, "KUBE-$1")
        .replace(/[a-z0-9-]+\/[a-z0-9-]+:[a-z0-9-]+/g, "SERVICE")
        .replace(/10\.[0-9]+\.[0-9]+\.[0-9]+(\/[0-9]+)?/g, "ADDRESS"),
    );
};

/** Rules that belong to no Service, in their order. */
const ordered = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) =>
      /-A (?:INPUT|FORWARD|OUTPUT|KUBE-FIREWALL|KUBE-FORWARD|KUBE-POSTROUTING|KUBE-MARK-MASQ) /.test(line),
    )
    .filter((line) => !line.includes("flannel"))
    .map((line) => line.replace(/^\[[0-9:]+\] /, ""));

test("names are kube-proxy's", () => {
  // The check value of proxier_test.go, and a chain of a recorded cluster.
  expect(kubeHash("ns2/svc2:p80tcp")).toBe("GNZBNJ2PO5MGZ6GT");
  expect(kubeHash("shop/web:httptcp10.244.3.2:8080")).toBe("2KRGQRMJ2NB6XTED");
});

test("probabilities are those that iptables prints", () => {
  expect([2, 3, 15].map(printedProbability)).toEqual(["0.50000000000", "0.33333333349", "0.06666666688"]);
});

test("the text is a save that prints back, the same every time", () => {
  const text = generateKubeProxyIptables(options);
  expect(generateKubeProxyIptables(options)).toBe(text);
  expect(generateKubeProxyIptables({ ...options, seed: 2 })).not.toBe(text);
  expect(undated(printIptablesSave(parseIptablesSave(text, "f", "ip")))).toBe(undated(text));
});

test("every Service has its chains, every endpoint its own", () => {
  const chains = natChains(parseIptablesSave(generateKubeProxyIptables({ ...options, counters: false }), "f", "ip"));
  for (const service of kubeProxyServices(options)) {
    const portal = chains.get("KUBE-SERVICES")!.rules.find((rule) => {
      const [dst] = rule.matches;
      return dst?.m === "dst" && formatIp(dst.prefix.ip) === service.clusterIP;
    });
    const svc = chains.get(portal?.target.t === "jump" ? portal.target.chain : "");
    const backends = svc?.rules.slice(1).map((rule) => {
      const dnat = rule.target.t === "jump" ? chains.get(rule.target.chain)?.rules[1]?.target : undefined;
      return dnat?.t === "dnat" ? `${formatIp(dnat.range.min!)}:${dnat.range.ports?.[0]}` : null;
    });
    expect(backends).toEqual(service.endpoints.map(({ ip, port }) => `${ip}:${port}`));
  }
});

test("endpoints are spread over the nodes, no address twice", () => {
  const services = kubeProxyServices({ services: 1000, endpointsPerService: 15, nodes: 7 });
  const endpoints = services.flatMap((service) => service.endpoints);
  expect(new Set(endpoints.map((endpoint) => endpoint.ip)).size).toBe(15000);
  expect(new Set(services.map((service) => service.clusterIP)).size).toBe(1000);
  for (let node = 0; node < 7; node++) {
    expect(endpoints.filter((endpoint) => endpoint.node === node).length).toBeGreaterThanOrEqual(2142);
  }
});

test("the rules of a Service have the form of a recorded node's", (context) => {
  if (!existsSync(RECORDED)) context.skip("skipped: no recordings at ../shared/fixtures");
  const made = generateKubeProxyIptables(options);
  const real = readFileSync(RECORDED, "utf8");
  for (const prefix of ["KUBE-SVC-", "KUBE-SEP-"]) {
    // Any of shop/web's chains against any of a generated Service's, both TCP with three endpoints.
    const of = (service: string): RegExp => new RegExp(`-A ${prefix}([A-Z2-7]{16}) .*"${service}[" ].* -m tcp `);
    expect(form(made, prefix, of("team-0/service-0:http"))).toEqual(form(real, prefix, of("shop/web:http")));
  }
  expect(ordered(made)).toEqual(ordered(real));
});
