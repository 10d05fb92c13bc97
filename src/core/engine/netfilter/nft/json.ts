/** Reading nft's JSON expressions, whose shapes are libnftables-json(5)'s: nothing here throws, what is odd is null. */
import type { NftJson } from "../../../model/nftables.ts";

export type NftObject = { [key: string]: NftJson };

/** The object that a value is; null for everything else. */
export function objectOf(value: NftJson | undefined): NftObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

/** The one key of an expression or statement, with what stands under it; null when it is no object of one key. */
export function tagged(value: NftJson | undefined): { tag: string; body: NftJson } | null {
  const o = objectOf(value);
  if (o === null) return null;
  const keys = Object.keys(o);
  return keys.length === 1 ? { tag: keys[0]!, body: o[keys[0]!]! } : null;
}

/** What stands under `key` when the value is an object of that one key. */
export function under(value: NftJson | undefined, key: string): NftJson | undefined {
  const t = tagged(value);
  return t !== null && t.tag === key ? t.body : undefined;
}

/** The string under `key`; empty when there is none. */
export function word(o: NftObject, key: string): string {
  const value = o[key];
  return typeof value === "string" ? value : "";
}

/** The number under `key`, or `fallback`. */
export function num(o: NftObject, key: string, fallback: number): number {
  const value = o[key];
  return typeof value === "number" ? value : fallback;
}

/** A word or a list of words, as nft prints flags. */
export function words(value: NftJson | undefined): string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** An element without its timeout, counters and comment. */
export function bareElement(value: NftJson): NftJson {
  const elem = objectOf(under(value, "elem"));
  return elem !== null && elem["val"] !== undefined ? elem["val"] : value;
}
