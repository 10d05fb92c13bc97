/** Which chains of a save file the kernel has hooked, and where. */
import type { NftTable } from "../../../model/nftables.ts";
import type { XtChain, XtRuleset, XtTable } from "../../../model/xtables.ts";
import { RunnableBaseChain } from "../base-chain.ts";
import type { BaseChain, Hook } from "../context.ts";
import { hookOf, registrationOf, typeOf } from "../nft-places.ts";
import { XtTableProgram } from "./program.ts";
import type { XtTableOptions } from "./program.ts";

const HOOKS: ReadonlyMap<string, Hook> = new Map([
  ["PREROUTING", "prerouting"],
  ["INPUT", "input"],
  ["FORWARD", "forward"],
  ["OUTPUT", "output"],
  ["POSTROUTING", "postrouting"],
]);

/** Priorities of iptable_raw, iptable_mangle, iptable_nat, iptable_filter and iptable_security (enum nf_ip_hook_priorities; IPv6 has the same). */
function legacyPriority(table: string, hook: Hook): number | null {
  switch (table) {
    case "raw":
      return -300;
    case "mangle":
      return -150;
    case "nat":
      return hook === "prerouting" || hook === "output" ? -100 : 100;
    case "filter":
      return 0;
    case "security":
      return 50;
    default:
      return null;
  }
}

function legacyType(table: string, hook: Hook): BaseChain["type"] {
  if (table === "nat") return "nat";
  // iptable_mangle_hook: in OUTPUT ipt_mangle_out routes again after a change; so does nft's chain type route.
  return table === "mangle" && hook === "output" ? "route" : "filter";
}

/**
 * The base chains of one table of a save file. `inKernel` is the same table as nft.json has it, for the nft backend: there
 * iptables registers a chain when it first needs it, though iptables-save prints all built-in ones. Null when nft's side
 * is not known: then those that can do anything are taken to be there, at iptables' own priorities.
 */
export function xtBaseChains(
  ruleset: XtRuleset,
  table: XtTable,
  inKernel: NftTable | null,
  options: XtTableOptions,
): BaseChain[] {
  const program = new XtTableProgram(ruleset, table, options);
  const out: BaseChain[] = [];
  for (const chain of table.chains) {
    if (chain.policy === null) continue;
    const run = program.chain(chain.name);
    const place = placeOf(ruleset, table, chain, inKernel);
    if (run === null || place === null) continue;
    out.push(
      new RunnableBaseChain(run, {
        ...place,
        backend: ruleset.backend === "nft" ? "iptables-nft" : "iptables-legacy",
        policy: chain.policy === "DROP" ? "drop" : "accept",
        hasRules: chain.rules.length > 0,
        devices: [],
        source: run.source,
      }),
    );
  }
  return out;
}

type Place = Pick<BaseChain, "type" | "hook" | "priority" | "registered">;

/** Above every handle. */
const LATE = 2 ** 52;

/**
 * A chain that holds nothing but the portmap plugin's jumps was registered when a pod with a hostPort first started:
 * after the daemons that set a node up, whatever the age of its table. A likelihood, used among equal priorities only.
 */
function isPortmaps(chain: XtChain): boolean {
  return chain.rules.length > 0 && chain.rules.every((r) => r.target.t === "jump" && r.target.chain.startsWith("CNI-"));
}

function placeOf(ruleset: XtRuleset, table: XtTable, chain: XtChain, inKernel: NftTable | null): Place | null {
  if (inKernel !== null) {
    const base = inKernel.chains.find((c) => c.name === chain.name) ?? null;
    const hook = base?.base == null ? null : hookOf(base.base.hook);
    if (base?.base == null || hook === null) return null;
    return {
      type: typeOf(base.base.type),
      hook,
      priority: base.base.priority,
      registered: registrationOf(inKernel, base) + (isPortmaps(chain) ? LATE : 0),
    };
  }
  const hook = HOOKS.get(chain.name);
  const priority = hook === undefined ? null : legacyPriority(table.name, hook);
  if (hook === undefined || priority === null) return null;
  const idle = chain.rules.length === 0 && chain.policy === "ACCEPT";
  if (ruleset.backend === "nft" && idle) return null;
  return { type: legacyType(table.name, hook), hook, priority, registered: 0 };
}
