/** All rulesets of a namespace as one Netfilter: iptables of both backends and native nftables, each rule once. */
import type { Namespace } from "../../model/namespace.ts";
import type { NftTable } from "../../model/nftables.ts";
import type { Source } from "../../model/source.ts";
import type { XtRuleset, XtTable } from "../../model/xtables.ts";
import { RunnableBaseChain } from "./base-chain.ts";
import type { BaseChain, Hook, Netfilter } from "./context.ts";
import { SetTable } from "./ipset/sets.ts";
import { compileNftTable } from "./nft/table.ts";
import { hookOf, registrationOf, typeOf } from "./nft-places.ts";
import { nftTracks, xtTracks } from "./tracks.ts";
import { whatIsUnknown } from "./unknown.ts";
import { xtBaseChains } from "./xt/base-chains.ts";
import { CommonRules } from "./xt/common-rules.ts";
import type { XtTableOptions } from "./xt/program.ts";
import { RecentLists } from "./xt/recent.ts";

type Family = 4 | 6 | "bridge" | "netdev" | "arp";

type Hooks = Readonly<Record<Family, Readonly<Record<Hook, readonly BaseChain[]>>>>;

const noChains = (): Record<Hook, BaseChain[]> => ({
  prerouting: [],
  input: [],
  forward: [],
  output: [],
  postrouting: [],
  ingress: [],
  egress: [],
});

/**
 * The rules of `ns`, compiled as packets meet them. `textOf` gives the raw line of a source, for showing it; `common` is what other
 * namespaces taught.
 * iptables-nft's tables stand in nft.json as well: their rules are taken from iptables-save, which alone prints them whole,
 * and from nft.json which of their base chains the kernel has and where.
 */
export function buildNetfilter(
  ns: Namespace,
  textOf: (source: Source) => string,
  common: CommonRules = new CommonRules(),
): Netfilter {
  return new NamespaceNetfilter(ns, textOf, common);
}

class NamespaceNetfilter implements Netfilter {
  readonly unknown: { readonly 4: string | null; readonly 6: string | null };
  private readonly ns: Namespace;
  private readonly textOf: (source: Source) => string;
  private readonly common: CommonRules;
  /** Tables of nft.json that are not iptables', or have base chains that are not. */
  private readonly native: readonly NftTable[];
  private hooks: Hooks | null = null;
  private tracking: { readonly 4: boolean; readonly 6: boolean } | null = null;
  private natting: { readonly 4: boolean; readonly 6: boolean } | null = null;

  constructor(ns: Namespace, textOf: (source: Source) => string, common: CommonRules) {
    this.ns = ns;
    this.textOf = textOf;
    this.common = common;
    this.native = (ns.nft?.tables ?? []).flatMap((table) => nativePart(ns, table));
    this.unknown = { 4: whatIsUnknown(ns, 4), 6: whatIsUnknown(ns, 6) };
  }

  chains(family: Family, hook: Hook): readonly BaseChain[] {
    return (this.hooks ??= this.build())[family][hook];
  }

  get tracks(): { readonly 4: boolean; readonly 6: boolean } {
    return (this.tracking ??= {
      4: this.some(4, xtTracks, (t) => nftTracks(t, 4)),
      6: this.some(6, xtTracks, (t) => nftTracks(t, 6)),
    });
  }

  get nats(): { readonly 4: boolean; readonly 6: boolean } {
    if (this.natting === null) {
      const has = (v: 4 | 6): boolean =>
        (["prerouting", "input", "output", "postrouting"] as const).some((h) =>
          this.chains(v, h).some((c) => c.type === "nat"),
        );
      this.natting = { 4: has(4), 6: has(6) };
    }
    return this.natting;
  }

  private some(v: 4 | 6, ofXt: (t: XtTable) => boolean, ofNft: (t: NftTable) => boolean): boolean {
    const family = v === 4 ? "ip" : "ip6";
    return (
      this.ns.xtables.some((r) => r.family === family && r.tables.some(ofXt)) ||
      // A bridge's `ct` needs the hooks of both IP versions (nf_ct_netns_get, NFPROTO_BRIDGE).
      this.native.some((t) => (t.family === family || t.family === "inet" || t.family === "bridge") && ofNft(t))
    );
  }

  private build(): Hooks {
    const lists = { 4: noChains(), 6: noChains(), bridge: noChains(), netdev: noChains(), arp: noChains() };
    const add = (family: Family, chain: BaseChain): void => {
      lists[family][chain.hook].push(chain);
    };
    const options: XtTableOptions = {
      sets: new SetTable(this.ns.ipsets, this.ns.dir),
      recent: new RecentLists(this.ns.recent, this.ns.dir),
      textOf: this.textOf,
      common: this.common,
    };
    for (const ruleset of this.ns.xtables) {
      for (const table of ruleset.tables) {
        const inKernel = ruleset.backend === "nft" ? kernelTable(this.ns, ruleset, table) : null;
        if (inKernel !== null && inKernel.flags.includes("dormant")) continue;
        const v = ruleset.family === "ip" ? 4 : 6;
        for (const chain of xtBaseChains(ruleset, table, inKernel, options)) add(v, chain);
      }
    }
    for (const table of this.native)
      for (const chain of this.nftBaseChains(table)) for (const f of familiesOf(table, chain)) add(f, chain);
    for (const family of Object.values(lists)) {
      for (const list of Object.values(family))
        list.sort((x, y) => x.priority - y.priority || y.registered - x.registered);
    }
    return lists;
  }

  private nftBaseChains(table: NftTable): BaseChain[] {
    if (table.flags.includes("dormant")) return [];
    const compiled = compileNftTable(table, { textOf: this.textOf });
    const out: BaseChain[] = [];
    for (const chain of table.chains) {
      const { base } = chain;
      const hook = base === null ? null : hookOf(base.hook);
      const program = compiled.chains.get(chain.name);
      if (base === null || hook === null || program === undefined) continue;
      out.push(
        new RunnableBaseChain(program, {
          type: typeOf(base.type),
          hook,
          priority: base.priority,
          registered: registrationOf(table, chain),
          backend: "nft",
          policy: base.policy,
          hasRules: chain.rules.length > 0,
          devices: base.devices,
          source: base.source,
        }),
      );
    }
    return out;
  }
}

/** The families whose packets meet a chain of a native table. */
function familiesOf(table: NftTable, chain: BaseChain): readonly Family[] {
  switch (table.family) {
    case "ip":
      return [4];
    case "ip6":
      return [6];
    case "inet":
      // inet's ingress is the device's (nf_tables: NF_INET_INGRESS registers as netdev).
      return chain.hook === "ingress" ? ["netdev"] : [4, 6];
    case "bridge":
      return ["bridge"];
    case "netdev":
      return ["netdev"];
    case "arp":
      return ["arp"];
  }
}

/**
 * What of a table iptables-save does not print. It lists a table of nf_tables only when it can print its rules
 * (nft_is_table_compatible), so a listed one is iptables'; base chains that nft users have added to it are left out, though.
 */
function nativePart(ns: Namespace, table: NftTable): NftTable[] {
  const ruleset = ns.xtables.find((r) => r.backend === "nft" && r.family === table.family);
  const saved = ruleset?.tables.find((t) => t.name === table.name);
  if (saved === undefined) return [table];
  const printed = new Set(saved.chains.filter((c) => c.policy !== null).map((c) => c.name));
  const foreign = table.chains.filter((c) => c.base !== null && !printed.has(c.name));
  if (foreign.length === 0) return [];
  return [{ ...table, chains: table.chains.filter((c) => !printed.has(c.name)) }];
}

/** The table of nft.json that is this one of iptables-nft; one without chains when nft knows of no such table. Null when nft's side is missing. */
function kernelTable(ns: Namespace, ruleset: XtRuleset, table: XtTable): NftTable | null {
  if (ns.nft === null) return null;
  const found = ns.nft.tables.find((t) => t.family === ruleset.family && t.name === table.name);
  if (found !== undefined) return found;
  const source = { file: ruleset.file, line: table.line };
  return { family: ruleset.family, name: table.name, handle: 0, flags: [], chains: [], sets: [], objects: [], source };
}
