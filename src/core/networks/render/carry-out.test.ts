/** Every network and mode, carried out by the real programs in namespaces of its own, and read back. */
import { describe, expect, test } from "vitest";
import { netnsName } from "./link-commands.ts";
import { RENDERERS } from "./renderers.ts";
import { renderExample } from "./testing/examples.ts";
import { readBack } from "./testing/read-back.ts";
import { carryOut, linkKinds, noRealNodes } from "./testing/real-nodes.ts";

const reason = noRealNodes();
/** What each network that programs kernels is rendered for; in every mode, or in some. */
const EXAMPLES: [network: string, files: string[], modes?: string[]][] = [
  ["kube-proxy", ["shop.yaml"]],
  ["kube-proxy", ["dual-stack.yaml"]],
  ["flannel", ["shop.yaml"]],
  ["flannel", ["dual-stack.yaml"], ["vxlan", "nftables"]],
  ["flannel", ["racks.yaml"], ["directrouting"]],
  ["calico", ["shop.yaml", "policies.yaml"]],
  ["calico", ["dual-stack.yaml"], ["vxlan"]],
  ["calico", ["racks.yaml"], ["crosssubnet", "bgp"]],
  ["cilium", ["shop.yaml"]],
  ["cilium", ["dual-stack.yaml"]],
  ["cni", ["shop.yaml"]],
  ["cni", ["dual-stack.yaml"], ["bridge", "ptp", "ipvlan-l3"]],
  ["docker-bridge", ["docker.yaml"]],
  ["vip", ["vip.yaml"]],
  ["bird", ["bird.yaml"]],
  ["dns", ["dns.yaml"], ["nodelocal"]],
];

const CASES = EXAMPLES.flatMap(([name, files, some]) => {
  const modes = RENDERERS.find((each) => each.name === name)?.modes ?? [];
  const wanted = some ?? (modes.length === 0 ? [null] : modes);
  return wanted.map((mode) => ({ name, mode, files }));
});

const here = reason === null ? linkKinds(["ipip", "ipvlan", "dummy", "geneve"]) : new Set<string>();
const absent = ["ipip", "ipvlan", "dummy", "geneve"].filter((kind) => !here.has(kind));

describe.skipIf(reason !== null)(
  `carried out by the real programs${reason === null ? "" : ` (skipped: ${reason})`}`,
  () => {
    test.each(CASES)("$name $mode of $files", { timeout: 60_000 }, async ({ name, mode, files }) => {
      const rendering = renderExample(name, mode, ...files);
      // Devices of kinds that this kernel lacks, and what stands on them.
      const gone = new Set(
        rendering.claims.flatMap((claim) =>
          claim.kind === "link" && absent.includes(claim.state.type) ? [`${claim.at} ${claim.state.name}`] : [],
        ),
      );
      const skip = (line: string): boolean => {
        const netns = /^(?:ip|bridge) -n (\S+)|^ip netns exec (\S+)/.exec(line);
        const within = netns?.[1] ?? netns?.[2] ?? null;
        const onDevice = [...gone].some((each) => {
          const [at = "", dev = ""] = each.split(" ");
          const named = line.includes(` ${dev} `) || line.endsWith(` ${dev}`) || line.includes(`.${dev}.`);
          return netnsName(at) === within && named;
        });
        // Some settings are there only with the module ip_vs.
        return onDevice || absent.some((kind) => line.includes(`type ${kind}`)) || line.includes("net.ipv4.vs.");
      };
      const onGone = (at: string, dev: string | null | undefined): boolean => gone.has(`${at} ${dev ?? ""}`);
      const claims = rendering.claims.filter((claim) => {
        if (claim.kind === "link") return !onGone(claim.at, claim.state.name);
        if (claim.kind === "address" || claim.kind === "neighbour" || claim.kind === "fdb")
          return !onGone(claim.at, claim.state.dev);
        if (claim.kind === "route") return !claim.state.ways.some((way) => onGone(claim.at, way.dev));
        if (claim.kind === "sysctl")
          return !onGone(claim.at, claim.state.key.split(".")[3]) && !claim.state.key.includes("ipv4.vs.");
        return true;
      });
      const { failures, result: diff } = await carryOut(rendering, skip, (snapshot) =>
        readBack(snapshot, claims, rendering.machines),
      );
      expect(failures).toEqual([]);
      expect(diff.unknown).toEqual([]);
      expect(diff.differences.map((each) => JSON.stringify({ ...each, source: null }))).toEqual([]);
      const owned = diff.owners.filter(({ owner }) => owner !== "kernel").reduce((sum, each) => sum + each.equal, 0);
      expect(owned).toBeGreaterThanOrEqual(claims.length);
      const unowned = diff.unowned.map(({ at, kind, text }) => `${at} ${kind} ${text}`);
      // A device takes in what is sent to the macvlans on it: the kernel puts their addresses into its table.
      const faces = mode === "macvlan" ? unowned.filter((each) => / fdb \S+ dev eth0 self permanent$/.test(each)) : [];
      expect(unowned).toEqual(faces);
    });
  },
);
