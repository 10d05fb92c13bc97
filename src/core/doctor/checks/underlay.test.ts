import { describe, expect, test } from "vitest";
import { link, listener, namespace, route, snapshot } from "../../../../test/support/world.ts";
import { makePod, makeService } from "../../../../test/support/snapshot.ts";
import type { LinkKind } from "../../model/link.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { doctor } from "../doctor.ts";
import { underlayBypassesServices } from "./underlay-bypasses-services.ts";

const source = { file: "cluster/test.json", line: 1 };
const NAT = `*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d 10.96.0.5/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.30.0.60:8080
-A OUTPUT -d 10.96.0.5/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.30.0.60:8080
COMMIT`;

/** Two nodes on one segment with a router; a pod on each, attached by `kind`. */
function world(kind: LinkKind): Snapshot {
  const node = (name: string, address: string) =>
    namespace({
      place: `${name}/host`,
      links: [link(2, "eth0", [`${address}/24`])],
      routes: [route("default via 172.30.0.1 dev eth0")],
      iptables: NAT,
    });
  const pod = (nodeName: string, name: string, address: string) =>
    namespace({
      place: `${nodeName}/pod/shop/${name}`,
      links: [
        link(5, "eth0", [`${address}/24`], {
          kind,
          peerIndex: 2,
          peerNetnsId: 0,
          mac: `02:00:00:00:01:${address.slice(-2)}`,
        }),
      ],
      routes: [route("default via 172.30.0.1 dev eth0")],
      sockets: [listener("tcp", 8080)],
      more: { pod: { namespace: "shop", name }, node: nodeName },
    });
  const router = namespace({ place: "router/host", links: [link(2, "lan", ["172.30.0.1/24"])] });
  const ports = [{ name: null, containerPort: 8080, hostPort: null, hostIP: null, protocol: "TCP" }];
  const address = (text: string) => [{ type: "InternalIP", address: text }];
  const object = (name: string, text: string) => ({
    namespace: "",
    name,
    labels: {},
    annotations: {},
    source,
    addresses: address(text),
    podCIDRs: [],
  });
  return snapshot(
    [
      node("n1", "172.30.0.11"),
      node("n2", "172.30.0.12"),
      pod("n1", "a", "172.30.0.50"),
      pod("n2", "b", "172.30.0.60"),
      router,
    ],
    {
      nodes: ["n1", "n2"],
      fabric: {
        segments: [
          {
            name: "lan",
            attached: [
              { node: "n1", dev: "eth0" },
              { node: "n2", dev: "eth0" },
              { node: "router", dev: "lan" },
            ],
            source,
          },
        ],
        routers: ["router"],
        external: [],
      },
      cluster: {
        nodes: [object("n1", "172.30.0.11"), object("n2", "172.30.0.12")],
        pods: [
          makePod("shop", "a", "n1", ["172.30.0.50"], { ports }),
          makePod("shop", "b", "n2", ["172.30.0.60"], { ports }),
        ],
        services: [makeService("shop", "web", ["10.96.0.5"], ["http/80"])],
        endpointSlices: [
          {
            namespace: "shop",
            name: "web-1",
            labels: {},
            annotations: {},
            source,
            service: "web",
            addressType: "IPv4",
            ports: [{ name: "http", port: 8080, protocol: "TCP" }],
            endpoints: [
              {
                addresses: ["172.30.0.60"],
                ready: true,
                serving: true,
                terminating: false,
                node: "n2",
                hostname: null,
                pod: { namespace: "shop", name: "b" },
              },
            ],
          },
        ],
        raw: new Map(),
        missing: new Map(),
      },
    },
  );
}

describe("underlay-bypasses-services", () => {
  test.each<[string, LinkKind]>([
    ["macvlan", { kind: "macvlan", mode: "bridge" }],
    ["ipvlan", { kind: "ipvlan", mode: "l2", flags: "bridge" }],
  ])("a pod attached by %s reaches neither a Service nor its own node", (name, kind) => {
    const { findings, unknown } = doctor(world(kind), { checks: [underlayBypassesServices] });
    const first = findings.find((each) => each.at === "n1/pod/shop/a");
    expect(first).toMatchObject({ id: "underlay-bypasses-services", severity: "error" });
    expect(first?.summary).toContain(`attached by ${name} on eth0`);
    const hurt = first?.affects.map(({ from, to }) => `${from} ${to}`);
    expect(hurt).toContain("n1/pod/shop/a svc:shop/web:80");
    expect(hurt).toContain("n1/pod/shop/a 172.30.0.11");
    expect(hurt).toContain("n1/host pod:shop/a");
    // Pods reach each other, and the Service works from the node that does not have its pod.
    expect(hurt).not.toContain("n1/pod/shop/a pod:shop/b");
    expect(unknown.map((each) => each.why)).toEqual([]);
  });

  test("a pod by a veth pair is none of its affairs", () => {
    expect(doctor(world({ kind: "veth" }), { checks: [underlayBypassesServices] }).findings).toEqual([]);
  });
});
