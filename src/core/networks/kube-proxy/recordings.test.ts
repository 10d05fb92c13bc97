/** Chains of recorded nodes in iptables mode, against those that kube-proxy and kubelet should have there. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { recordingsIn } from "../../../../test/judge/recording.ts";
import { loadSnapshot } from "../../../host/snapshot/load.ts";
import type { XtRule } from "../../model/xtables.ts";
import { parseIptablesSave } from "../../parse/iptables-save.ts";
import { formatRule } from "../../parse/iptables/print.ts";
import type { Claim } from "../claim.ts";
import { kubelet } from "../kubelet.ts";
import { siteOf } from "../site-of.ts";
import { kubeProxyConfig } from "./config.ts";
import { kubeProxy } from "./index.ts";
import { restoreText } from "./testing/site.ts";

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures", import.meta.url));
const recordings = recordingsIn(FIXTURES);

/** A rule whose matches stand in an order of their own. */
const plain = (chain: string, rule: XtRule): string => formatRule(chain, rule).split(" ").toSorted().join(" ");

/** Chains of kube-proxy and kubelet by `TABLE CHAIN`; those of `free` with their rules sorted, because their order means nothing. */
function chainsOf(save: string, family: "ip" | "ip6", free: ReadonlySet<string>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const table of parseIptablesSave(save, "save", family).tables) {
    for (const chain of table.chains) {
      if (!chain.name.startsWith("KUBE-")) continue;
      const name = `${table.name} ${chain.name}`;
      const rules = chain.rules.map((rule) => plain(chain.name, rule));
      found.set(name, free.has(name) ? rules.toSorted() : rules);
    }
  }
  return found;
}

test("every KUBE chain of recorded nodes is as intended", async (context) => {
  let chains = 0;
  for (const dir of recordings.filter((each) => !basename(each).includes("--"))) {
    const snapshot = await loadSnapshot(join(dir, "snapshot"));
    const site = siteOf(snapshot);
    for (const machine of site.machines) {
      if (kubeProxyConfig(site, machine)?.mode !== "iptables") continue;
      const claims = [...kubeProxy.intend(site, machine), ...kubelet.intend(site, machine)];
      const own = claims.filter((claim): claim is Extract<Claim, { kind: "chain" }> => claim.kind === "chain");
      for (const family of ["ip", "ip6"] as const) {
        const free = new Set(
          own.flatMap(({ state, freeOrder }) =>
            state.backend === "iptables" && state.family === family && freeOrder !== undefined
              ? [`${state.table} ${state.chain}`]
              : [],
          ),
        );
        const file = `nodes/${machine.name}/host/${family}tables-save.txt`;
        const actual = chainsOf(snapshot.text(file) ?? "", family, free);
        const wanted = chainsOf(restoreText(own, family), family, free);
        expect(Object.fromEntries(actual), `${basename(dir)} ${file}`).toEqual(Object.fromEntries(wanted));
        chains += actual.size;
      }
    }
  }
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(chains).toBeGreaterThan(0);
});
