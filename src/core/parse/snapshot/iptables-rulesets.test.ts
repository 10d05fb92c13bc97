import { describe, expect, test } from "vitest";
import { load, missing, NFT, SAVE, type Change } from "./testing.ts";

const NOT_FOUND: [number, string] = [127, "sh: 1: not found"];

describe("iptables: which backend, and is it all", () => {
  test("both backends", () => {
    const { xtables, missing: lost } = load({
      files: {
        "iptables-save.txt": SAVE("nat"),
        "iptables-legacy-save.txt": SAVE("raw", "v1.8.9"),
        "nft.json": NFT("nat", "OUTPUT"),
      },
    }).namespaces[0]!;
    expect(xtables.map((x) => [x.family, x.backend, x.tables.map((t) => t.name)])).toEqual([
      ["ip", "nft", ["nat"]],
      ["ip", "legacy", ["raw"]],
    ]);
    expect([...lost]).toEqual([]);
  });

  test("iptables is the legacy one: its rules count once", () => {
    const change: Change = {
      files: { "iptables-save.txt": SAVE("nat", "v1.8.9"), "iptables-legacy-save.txt": SAVE("nat", "v1.8.9") },
    };
    expect(load(change).namespaces[0]!.xtables).toHaveLength(1);
    expect(missing({ ...change, ended: { "iptables-legacy-save.txt": NOT_FOUND } })).toEqual({});
  });

  const noLegacy = { "iptables-legacy-save.txt": NOT_FOUND, "ip6tables-legacy-save.txt": NOT_FOUND };

  test("without the legacy tools: missing, unless an iptables-nft that would warn did not", () => {
    expect(Object.keys(missing({ ended: noLegacy }))).toEqual(["iptables-legacy", "ip6tables-legacy"]);
    const files = { "iptables-save.txt": SAVE("nat"), "nft.json": NFT("nat", "OUTPUT") };
    expect(missing({ files, ended: noLegacy })).toEqual({});
    const old = { ...files, "iptables-save.txt": SAVE("nat", "v1.8.2 (nf_tables)") };
    expect(Object.keys(missing({ files: old, ended: noLegacy }))).toEqual(["iptables-legacy", "ip6tables-legacy"]);
  });

  test("a warning of legacy tables that no save shows", () => {
    const warning = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them";
    const files = { "iptables-save.txt": SAVE("nat"), "nft.json": NFT("nat", "OUTPUT") };
    const ended: Change["ended"] = { "iptables-save.txt": [0, warning] };
    expect(Object.keys(missing({ files, ended }))).toEqual(["iptables-legacy"]);
    expect(Object.keys(missing({ files, ended: { ...ended, ...noLegacy } }))).toEqual(["iptables-legacy"]);
  });

  test("nft shows a table of iptables that the save lacks", () => {
    expect(missing({ files: { "nft.json": NFT("filter", "OUTPUT") } })["iptables"]).toContain("lacks the table filter");
    expect(missing({ files: { "nft.json": NFT("mine", "out", true) } })["iptables"]).toContain("lacks the table mine");
    expect(missing({ files: { "nft.json": NFT("filter", "OUTPUT", true, "ip6") } })["ip6tables"]).toContain(
      "lacks the table filter",
    );
    expect(missing({ files: { "nft.json": NFT("filter", "OUTPUT", true, "inet") } })).toEqual({});
    expect(missing({ files: { "nft.json": NFT("filter", "output") } })).toEqual({});
    const incompatible = "# Table `filter' is incompatible, use 'nft' tool.\n";
    expect(missing({ files: { "nft.json": NFT("filter", "OUTPUT"), "iptables-save.txt": incompatible } })).toEqual({});
  });

  test("the save shows a table of nf_tables that nft.json lacks", () => {
    expect(missing({ files: { "iptables-save.txt": SAVE("nat") } })["nft"]).toContain("lacks the table ip nat");
  });

  test("without iptables: nft tells that there are no tables of it", () => {
    const gone = { "iptables-save.txt": NOT_FOUND, "ip6tables-save.txt": NOT_FOUND };
    expect(missing({ ended: gone })).toEqual({});
    expect(Object.keys(missing({ ended: gone, files: { "nft.json": NFT("nat", "OUTPUT", true) } }))).toEqual([
      "iptables",
    ]);
    expect(
      Object.keys(missing({ ended: { ...gone, "nft.json": NOT_FOUND }, files: { "nft.json": undefined } })),
    ).toEqual(["nft", "iptables", "ip6tables"]);
  });

  test("a save that is cut off stays missing, whatever nft shows", () => {
    const whole = SAVE("nat");
    const lost = (end: number) =>
      missing({ files: { "iptables-save.txt": whole.slice(0, end), "nft.json": NFT("nat", "OUTPUT") } })["iptables"];
    expect(lost(whole.indexOf("COMMIT"))).toContain("COMMIT");
    for (const end of [1, 20, whole.indexOf("*nat"), whole.indexOf("# Completed"), whole.length - 1])
      expect(lost(end), `cut at ${end}`).toContain("cut off");
    expect(lost(whole.length)).toBeUndefined();
  });
});
