import { describe, expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { parseBridgeFdb } from "./bridge-fdb.ts";
import { parseBridgeLink } from "./bridge-link.ts";
import { parseBridgeVlan } from "./bridge-vlan.ts";

test("forwarding entries", () => {
  const text =
    '[{"mac":"33:33:00:00:00:01","ifname":"br1","flags":["self"],"state":"permanent"},{"mac":"AE:12:d3:39:b3:e4","ifname":"b0","flags":[],"master":"br1","state":""},{"mac":"ae:c7:46:81:0a:5a","ifname":"b0","vlan":1,"flags":[],"master":"br1","state":"permanent"},{"mac":"02:00:00:00:00:08","ifname":"vx","dst":"10.0.0.2","flags":["self","extern_learn"],"state":"permanent"},{"mac":"02:00:00:00:00:06","ifname":"vx","nhid":11,"flags":["self"],"state":"permanent"},\n{"mac":"00:00:00:00:00:00","ifname":"vx","dst":"2001:db8::3","flags":["self"],"state":"permanent"},{"mac":"02:00:00:00:00:05","ifname":"vx","dst":"10.0.0.2","port":999,"vni":77,"viaIf":"a1","flags":["self"],"state":"permanent"},{"mac":"02:00:00:00:00:07","dev":"old0"}]';
  const shown = parseBridgeFdb(text, "fdb.json").map((e) =>
    [
      e.mac,
      e.dev,
      e.master,
      e.self ? "self" : "",
      e.dst === null ? null : formatIp(e.dst),
      e.port,
      e.vni,
      e.via,
      e.vlan,
      e.nhid,
      e.state,
      e.source.line,
    ]
      .map((x) => x ?? "-")
      .join(" "),
  );
  expect(shown).toEqual([
    "33:33:00:00:00:01 br1 - self - - - - - - permanent 1",
    "ae:12:d3:39:b3:e4 b0 br1  - - - - - -  1",
    "ae:c7:46:81:0a:5a b0 br1  - - - - 1 - permanent 1",
    "02:00:00:00:00:08 vx - self 10.0.0.2 - - - - - permanent 1",
    "02:00:00:00:00:06 vx - self - - - - - 11 permanent 1",
    "00:00:00:00:00:00 vx - self 2001:db8::3 - - - - - permanent 2",
    "02:00:00:00:00:05 vx - self 10.0.0.2 999 77 a1 - - permanent 2",
    "02:00:00:00:00:07 old0 -  - - - - - -  2",
  ]);
  expect(() => parseBridgeFdb('[{"mac":"x","ifname":"a"}]', "f")).toThrow(
    'f:1: "mac" should be a link-layer address, not "x"',
  );
  expect(() => parseBridgeFdb('[{"ifname":"a"}]', "f")).toThrow('f:1: "mac" is missing');
  expect(() => parseBridgeFdb('[{"mac":"02:00:00:00:00:01"}]', "f")).toThrow('f:1: "ifname" is missing');
});

test("ports", () => {
  const text =
    '[{"ifindex":8,"link":"b1","ifname":"b0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"master":"br1","state":"forwarding","priority":32,"cost":2,"hairpin":true,"guard":false,"root_block":false,"fastleave":false,"learning":false,"flood":false,"mcast_flood":false,"bcast_flood":false,"mcast_router":1,"mcast_to_unicast":false,"neigh_suppress":true,"vlan_tunnel":false,"isolated":true,"locked":true},\n{"ifindex":9,"ifname":"b2","flags":["UP"],"mtu":1500,"master":"br1","state":"blocking","priority":32,"cost":2},{"ifindex":2,"ifname":"eth0","flags":["UP"],"mtu":1500,"hwmode":"VEB"}]';
  const ports = parseBridgeLink(text, "bridge-link.json");
  expect([...ports.keys()]).toEqual(["b0", "b2"]);
  expect(ports.get("b0")).toEqual({
    state: "forwarding",
    hairpin: true,
    isolated: true,
    learning: false,
    flood: false,
    mcastFlood: false,
    bcastFlood: false,
    neighSuppress: true,
    locked: true,
    source: { file: "bridge-link.json", line: 1 },
  });
  // Without -d only the state is printed.
  expect(ports.get("b2")).toMatchObject({
    state: "blocking",
    hairpin: false,
    learning: true,
    flood: true,
    mcastFlood: true,
    source: { line: 2 },
  });
  expect(() => parseBridgeLink('[{"ifname":"a","state":"forwarding","hairpin":"on"}]', "f")).toThrow(
    'f:1: "hairpin" should be true or false, not "on"',
  );
});

describe("VLANs", () => {
  const expected = new Map([
    [
      "br0",
      [
        { vid: 1, pvid: true, untagged: true },
        { vid: 10, pvid: false, untagged: false },
      ],
    ],
    [
      "eth0",
      [
        { vid: 20, pvid: false, untagged: false },
        { vid: 21, pvid: false, untagged: false },
        { vid: 22, pvid: false, untagged: false },
        { vid: 30, pvid: false, untagged: true },
      ],
    ],
  ]);
  const br0 = '[{"vlan":1,"flags":["PVID","Egress Untagged"]},{"vlan":10}]';
  const eth0 = '[{"vlan":20,"vlanEnd":22},{"vlan":30,"flags":["Egress Untagged"]}]';
  test("rows", () =>
    expect(parseBridgeVlan(`[{"ifname":"br0","vlans":${br0}},{"ifname":"eth0","vlans":${eth0}}]`, "v")).toEqual(
      expected,
    ));
  test("the object of older iproute2", () =>
    expect(parseBridgeVlan(`{"br0":${br0},"eth0":${eth0}}`, "v")).toEqual(expected));
  test("none", () => {
    expect(parseBridgeVlan("[]\n", "v").size).toBe(0);
    expect(parseBridgeVlan("", "v").size).toBe(0);
  });
  test("malformed", () => {
    expect(() => parseBridgeVlan("[", "v")).toThrow("v:1: JSON is cut off: expected a value");
    expect(() => parseBridgeVlan('[{"ifname":"a","vlans":[{}]},{"ifname":"a"}]', "v")).toThrow(
      "v:1: the VLANs of a link should be an array",
    );
    expect(() => parseBridgeVlan('[{"ifname":"a","vlans":[{"vlan":1,"vlanEnd":5000}]}]', "v")).toThrow(
      'v:1: "vlanEnd" should be a whole number from 0 to 4095, not 5000',
    );
    expect(() => parseBridgeVlan('{"a":7}', "v")).toThrow("v:1: the VLANs of a link should be an array");
  });
});
