import { describe, expect, it } from "vitest";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import { makeWorld, type Network, type ProxyMode } from "./world.ts";

describe("the world of the benchmark", () => {
  it.each<[ProxyMode, Network]>([
    ["iptables", "vxlan"],
    ["iptables", "host-gw"],
    ["nftables", "vxlan"],
    ["nftables", "host-gw"],
  ])("%s over %s: every Service is answered by each of its endpoints", (mode, network) => {
    const made = makeWorld(mode, network, 20);
    const world = createWorld(made.snapshot);
    for (const service of made.services) {
      const answer = ask(world, {
        from: made.clients[0]!,
        proto: service.protocol,
        to: service.clusterIP,
        port: service.port,
      });
      expect(answer.verdict).toBe("answered");
      expect(new Set(answer.outcomes.map((o) => o.server?.address))).toEqual(
        new Set(service.endpoints.map((e) => e.ip)),
      );
      expect(answer.outcomes.map((o) => o.share)).toEqual(service.endpoints.map(() => ({ num: 1, den: 5 })));
    }
  });
});
