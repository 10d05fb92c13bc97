import { describe, expect, it } from "vitest";
import { parsePrefix } from "../../model/address.ts";
import { PrefixMap } from "./prefix-map.ts";
import { ip } from "./testing/stub.ts";

const map = new PrefixMap<string>();
for (const each of [
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.3/32",
  "0.0.0.0/0",
  "2001:db8::/32",
  "2001:db8:1::/48",
  "fd00::1/128",
]) {
  map.set(parsePrefix(each)!, each);
}

describe("longest match", () => {
  it.each([
    ["10.1.2.3", "10.1.2.3/32"],
    ["10.1.2.4", "10.1.0.0/16"],
    ["10.200.0.1", "10.0.0.0/8"],
    ["192.0.2.1", "0.0.0.0/0"],
    ["2001:db8:1::5", "2001:db8:1::/48"],
    ["2001:db8:2::5", "2001:db8::/32"],
    ["fd00::1", "fd00::1/128"],
    ["fd00::2", undefined],
  ])("%s → %s", (address, found) => {
    expect(map.longest(ip(address))).toBe(found);
  });

  it("looks up one length, counts and replaces", () => {
    expect(map.at(ip("10.1.2.3"), 16)).toBe("10.1.0.0/16");
    expect(map.at(ip("10.1.2.3"), 24)).toBeUndefined();
    expect(map.size).toBe(7);
    map.set(parsePrefix("fd00::1/128")!, "again");
    expect(map.size).toBe(7);
    expect(map.longest(ip("fd00::1"))).toBe("again");
  });

  it("agrees with a scan on random prefixes of both families", () => {
    let seed = 7;
    const random = (n: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
    const prefixes = Array.from({ length: 300 }, () =>
      random(2) === 0
        ? parsePrefix(`10.${random(4)}.${random(4)}.${random(256)}/${8 + random(25)}`)!
        : parsePrefix(`fd00:0:${random(3)}::${random(3)}/${32 + random(97)}`)!,
    );
    const many = new PrefixMap<number>();
    for (const p of prefixes) many.set(p, p.len);
    for (let i = 0; i < 500; i++) {
      const address = ip(
        random(2) === 0 ? `10.${random(4)}.${random(4)}.${random(256)}` : `fd00:0:${random(3)}::${random(3)}`,
      );
      const lens = prefixes
        .filter((p) => p.ip.v === address.v && parsePrefix(`${text(address)}/${p.len}`)!.ip.key === p.ip.key)
        .map((p) => p.len);
      expect(many.longest(address)).toBe(lens.length === 0 ? undefined : Math.max(...lens));
    }
  });
});

function text(address: ReturnType<typeof ip>): string {
  if (address.v === 4) return [24, 16, 8, 0].map((n) => (address.a >>> n) & 255).join(".");
  return [address.a, address.b, address.c, address.d]
    .flatMap((w) => [(w >>> 16).toString(16), (w & 0xffff).toString(16)])
    .join(":");
}
