/** Rulesets as `nft -j -a list ruleset` prints them, which `nft -j -f` reads. */
import { nftJsonText } from "../../model/nft-text.ts";
import type { NftChain, NftJson, NftRule, NftRuleset, NftSet, NftTable } from "../../model/nftables.ts";

/** The ruleset on one line. `parseNftJson` reads it back the same, but that everything then stands on line 1. */
export function printNftJson(ruleset: NftRuleset): string {
  const items: NftJson[] = [{ metainfo: { json_schema_version: 1 } }];
  for (const table of ruleset.tables) items.push(...tableItems(table));
  return `${nftJsonText({ nftables: items })}\n`;
}

/** nft lists a table's objects, then its sets, its chains, and last the rules of each chain. */
function tableItems(table: NftTable): NftJson[] {
  return [
    { table: { family: table.family, name: table.name, handle: table.handle, ...flags(table.flags), ...table.more } },
    ...table.objects.map((o) => ({ [o.kind]: o.json })),
    ...table.sets.map((set) => ({ [set.isMap ? "map" : "set"]: setItem(table, set) })),
    ...table.chains.map((chain) => ({ chain: chainItem(table, chain) })),
    ...table.chains.flatMap((chain) => chain.rules.map((rule) => ({ rule: ruleItem(table, chain, rule) }))),
  ];
}

type Fields = { [key: string]: NftJson };

const flags = (words: string[]): Fields => (words.length === 0 ? {} : { flags: words });

function setItem(table: NftTable, set: NftSet): NftJson {
  return {
    family: table.family,
    name: set.name,
    table: table.name,
    type: set.keyTypes.length === 1 ? set.keyTypes[0]! : set.keyTypes,
    handle: set.handle,
    ...(set.valueType === null ? {} : { map: set.valueType }),
    ...flags(set.flags),
    ...(set.timeout === null ? {} : { timeout: set.timeout }),
    ...(set.elements.length === 0 ? {} : { elem: set.elements }),
    // `type` and `map` are in here when they are no plain names.
    ...set.more,
  };
}

function chainItem(table: NftTable, chain: NftChain): NftJson {
  const head = { family: table.family, table: table.name, name: chain.name, handle: chain.handle };
  if (chain.base === null) return { ...head, ...chain.more };
  const { type, hook, priority, policy, devices } = chain.base;
  const dev: Fields = devices.length === 0 ? {} : { dev: devices.length === 1 ? devices[0]! : devices };
  return { ...head, ...dev, type, hook, prio: priority, policy, ...chain.more };
}

function ruleItem(table: NftTable, chain: NftChain, rule: NftRule): NftJson {
  return {
    family: table.family,
    table: table.name,
    chain: chain.name,
    handle: rule.handle,
    ...(rule.comment === null ? {} : { comment: rule.comment }),
    expr: rule.expr,
    ...rule.more,
  };
}
