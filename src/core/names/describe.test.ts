import { expect, test } from "vitest";
import { makeSnapshot } from "../../../test/support/snapshot.ts";
import { createLabels } from "./describe.ts";
import { createDirectory } from "./directory.ts";

const label = createLabels(createDirectory(makeSnapshot()));

test.each([
  ["10.96.26.216", "svc shop/web"],
  ["fd00:96::1", "svc shop/web"],
  ["172.30.0.11", "node n1"],
  // Not the finished job that had the address before.
  ["10.244.0.2", "pod shop/web-abc-1"],
  ["10.244.0.1", "n1 cni0"],
  ["203.0.113.1", "fabric kwo0"],
  ["10.99.0.1", "n2/netns/202 eth0"],
  ["127.0.0.1", undefined],
  ["8.8.8.8", undefined],
])("%s is %s", (address, what) => expect(label(address)).toBe(what));
