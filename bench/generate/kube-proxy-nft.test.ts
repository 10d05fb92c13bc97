import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { parseNftJson } from "../../src/core/parse/nft-json.ts";
import { kubeProxyServices } from "./kube-proxy-iptables.ts";
import { generateKubeProxyNft } from "./kube-proxy-nft.ts";

const OPTIONS = { services: 40, endpointsPerService: 5, nodes: 2, podsPerNode: 110 };
const generated = generateKubeProxyNft(kubeProxyServices(OPTIONS), "172.30.0.10");

/** Handles are the kernel's to give. */
const withoutHandles = (text: string): string => text.replaceAll(/ # handle \d+|, "handle": \d+/g, "");

function whyNoKernel(): string | null {
  if (process.getuid?.() !== 0) return "needs root";
  return spawnSync("nft", ["--version"]).stdout?.toString().startsWith("nftables v1.0.6") === true
    ? null
    : "needs nft 1.0.6";
}

describe("kube-proxy's nftables rules", () => {
  it("are read as what they are", () => {
    const { tables } = parseNftJson(generated.json, "nft.json", { text: generated.text, file: "nft.txt" });
    const [table] = tables;
    expect(tables.map((t) => `${t.family} ${t.name}`)).toEqual(["ip kube-proxy", "ip6 kube-proxy"]);
    expect(table!.sets.find((s) => s.name === "service-ips")!.elements).toHaveLength(OPTIONS.services);
    expect(table!.chains.filter((c) => c.name.startsWith("endpoint-"))).toHaveLength(
      OPTIONS.services * OPTIONS.endpointsPerService,
    );
    expect(table!.chains.filter((c) => c.base !== null)).toHaveLength(8);
    // Every rule finds its line of the text.
    expect(table!.chains.every((c) => c.rules.every((r) => r.source.file === "nft.txt"))).toBe(true);
  });

  const why = whyNoKernel();
  it.skipIf(why !== null)(`are listed by nft as they were generated${why === null ? "" : ` (skipped: ${why})`}`, () => {
    const name = `kwb-${process.pid}-generated`;
    const inside = (...command: string[]): string =>
      execFileSync("ip", ["netns", "exec", name, ...command], {
        stdio: ["pipe", "pipe", "ignore"],
        input: generated.text,
      }).toString();
    execFileSync("ip", ["netns", "add", name]);
    try {
      inside("nft", "-f", "-");
      expect(withoutHandles(inside("nft", "-a", "list", "ruleset"))).toBe(withoutHandles(generated.text));
      expect(withoutHandles(inside("nft", "-j", "-a", "list", "ruleset"))).toBe(withoutHandles(generated.json));
    } finally {
      spawnSync("ip", ["netns", "del", name]);
    }
  });
});
