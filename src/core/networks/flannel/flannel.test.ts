/** flannel where no recording shows it: older generations, DirectRouting, peers behind a router, configuration in objects. */
import { describe, expect, test } from "vitest";
import type { Claim } from "../claim.ts";
import { saveText, nftCommands } from "../cni/testing/claims.ts";
import { inside, whyNot, withNamespaces } from "../cni/testing/namespaces.ts";
import {
  makeDevice,
  makeMachine,
  makeNode,
  makeSite,
  vxlanAnnotations,
  type MachineText,
} from "../cni/testing/site.ts";
import { IntentError } from "../network.ts";
import type { Site } from "../site.ts";
import { flannel } from "./index.ts";
import { flannelOptions } from "./options.ts";

const NETWORK = { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } };

interface Setup {
  netConf?: object;
  env?: string;
  flags?: string;
  /** Image of flannel's DaemonSet. */
  image?: string;
  backend?: string;
  raw?: Record<string, unknown[]>;
}

const ENV = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.0.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/** Three nodes: n1 and n2 on one link, n3 behind a router. */
function site(setup: Setup): Site {
  const node = (i: number, ip: string) => {
    const annotations = vxlanAnnotations(ip, `0a:00:00:00:00:0${i}`);
    if (setup.backend !== undefined) annotations["flannel.alpha.coreos.com/backend-type"] = setup.backend;
    return makeNode(`n${i}`, ip, [`10.244.${i - 1}.0/24`], annotations);
  };
  const files: MachineText["files"] = { "/run/flannel/subnet.env": setup.env ?? ENV };
  if (setup.netConf !== undefined) files["/etc/kube-flannel/net-conf.json"] = JSON.stringify(setup.netConf);
  const first = makeMachine({
    node: node(1, "192.0.2.11"),
    devices: [makeDevice("eth1", ["192.0.2.11/24"]), makeDevice("eth2", ["198.51.100.11/24"], 9000)],
    files,
    commands: { flanneld: `flanneld --kube-subnet-mgr ${setup.flags ?? "-iface eth1"}` },
  });
  const others = [node(2, "192.0.2.12"), node(3, "203.0.113.13")].map((each) =>
    makeMachine({ node: each, devices: [] }),
  );
  const images = setup.image === undefined ? [] : [{ name: "kube-flannel", image: setup.image }];
  const sets = [{ spec: { template: { spec: { containers: images } } } }];
  return makeSite([first, ...others], [], { "daemonsets.apps": sets, ...setup.raw });
}

const claimsOf = (setup: Setup): Claim[] => {
  const made = site(setup);
  const [first] = made.machines;
  return first === undefined ? [] : flannel.intend(made, first);
};

type Kinds = Claim["kind"];

/** States of one kind, routes as text. */
const states = (claims: Claim[], kind: Kinds): unknown[] =>
  claims.flatMap((claim): unknown[] => {
    if (claim.kind !== kind) return [];
    if (claim.kind !== "route") return [claim.state];
    const way = claim.state.ways[0];
    return [
      `${claim.state.type} ${claim.state.dst} via ${way?.via} dev ${way?.dev}${way?.onlink === true ? " onlink" : ""}`,
    ];
  });

describe("VXLAN", () => {
  test("a neighbour, an FDB entry and a route for each peer", () => {
    const claims = claimsOf({ netConf: NETWORK });
    expect(states(claims, "link")).toEqual([
      {
        name: "flannel.1",
        type: "vxlan",
        mtu: 1450,
        up: true,
        master: null,
        mac: "0a:00:00:00:00:01",
        attributes: {
          id: 1,
          remote: null,
          dev: "eth1",
          external: false,
          local: "192.0.2.11",
          l2miss: false,
          l3miss: false,
          proxy: false,
          port: 8472,
          learning: false,
        },
      },
    ]);
    expect(states(claims, "route")).toEqual([
      "unicast 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
      "unicast 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]);
    expect(states(claims, "fdb")).toContainEqual(
      expect.objectContaining({ mac: "0a:00:00:00:00:03", dst: "203.0.113.13" }),
    );
    expect(claims.filter((claim) => claim.optional === true)).toEqual([]);
  });

  test("DirectRouting: a peer on the link is reached without the tunnel", () => {
    const claims = claimsOf({ netConf: { ...NETWORK, Backend: { Type: "vxlan", DirectRouting: true, Port: 4789 } } });
    expect(states(claims, "route")).toEqual([
      "unicast 10.244.1.0/24 via 192.0.2.12 dev eth1",
      "unicast 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]);
    expect(states(claims, "neighbour")).toEqual([expect.objectContaining({ ip: "10.244.2.0" })]);
  });

  test("another device, by name, address or expression", () => {
    const dev = (flags: string): unknown =>
      states(claimsOf({ flags, netConf: NETWORK }), "link").map(
        (link) => (link as { attributes: { dev: string } }).attributes.dev,
      );
    expect(dev("-iface nope -iface eth2")).toEqual(["eth2"]);
    expect(dev("--iface=198.51.100.11")).toEqual(["eth2"]);
    expect(dev("-iface-regex ^eth2$")).toEqual(["eth2"]);
    expect(dev("-iface-regex 192\\.0\\.")).toEqual(["eth1"]);
    expect(dev("")).toEqual(["eth1"]);
    expect(dev("-iface nope")).toEqual([]);
  });

  test("v0.8: FDB entries for all, neighbours when the kernel asks; the network on the device", () => {
    const claims = claimsOf({ image: "quay.io/coreos/flannel:v0.8.0-amd64" });
    expect(states(claims, "route")).toEqual(["unicast 10.244.0.0/16 via null dev flannel.1"]);
    expect(states(claims, "neighbour")).toEqual([]);
    expect(states(claims, "fdb")).toHaveLength(2);
    expect(states(claims, "sysctl")).toEqual([{ key: "net.ipv4.neigh.flannel/1.app_solicit", value: "3" }]);
    expect(states(claims, "chain")).toEqual([]);
    const older = claimsOf({ image: "quay.io/coreos/flannel:v0.5.5" });
    expect(states(older, "address")).toEqual([{ dev: "flannel.1", address: "10.244.0.0/16", scope: "global" }]);
    expect(states(older, "route")).toEqual([]);
  });

  test("2014: everything when the kernel asks", () => {
    const claims = claimsOf({ image: "coreos/flannel:0.1.0" });
    expect(states(claims, "link")).toEqual([
      expect.objectContaining({
        attributes: expect.objectContaining({ learning: true, proxy: true, l2miss: true }) as unknown,
      }),
    ]);
    // A peer's entry may be there or not.
    expect(claims.filter(({ kind, optional }) => kind === "fdb" && optional !== true)).toEqual([]);
  });
});

test("host-gw: no route to a peer behind a router", () => {
  const claims = claimsOf({ backend: "host-gw", netConf: { ...NETWORK, Backend: { Type: "host-gw" } } });
  expect(states(claims, "route")).toEqual(["unicast 10.244.1.0/24 via 192.0.2.12 dev eth1"]);
  expect(states(claims, "link")).toEqual([]);
});

describe("rules", () => {
  const chains = (claims: Claim[]): string[] =>
    claims.flatMap((claim) =>
      claim.kind === "chain" ? [`${claim.state.chain}${claim.optional === true ? "?" : ""}`] : [],
    );

  test("of both programs when the configuration was not recorded, else of the one that it names", () => {
    expect(chains(claimsOf({}))).toEqual(["FLANNEL-POSTRTG?", "postrtg?", "FLANNEL-FWD?", "forward?"]);
    expect(chains(claimsOf({ netConf: NETWORK }))).toEqual(["FLANNEL-POSTRTG", "FLANNEL-FWD"]);
    expect(chains(claimsOf({ netConf: { ...NETWORK, EnableNFTables: true } }))).toEqual(["postrtg", "forward"]);
  });

  test("only those that were asked for", () => {
    const env = ENV.replace("IPMASQ=true", "IPMASQ=false");
    expect(chains(claimsOf({ netConf: NETWORK, env }))).toEqual(["FLANNEL-FWD"]);
    expect(chains(claimsOf({ netConf: NETWORK, flags: "-iptables-forward-rules=false" }))).toEqual(["FLANNEL-POSTRTG"]);
  });

  test("the manifest's ConfigMap is as good as the file", () => {
    const data = { "net-conf.json": JSON.stringify({ ...NETWORK, EnableNFTables: true }) };
    const raw = { configmaps: [{ metadata: { namespace: "kube-flannel", name: "kube-flannel-cfg" }, data }] };
    expect(chains(claimsOf({ raw }))).toEqual(["postrtg", "forward"]);
  });

  const why = whyNot(["ip", "nft", "iptables-restore"]);

  test.for([
    { program: "iptables-restore", netConf: NETWORK },
    { program: "nft", netConf: { ...NETWORK, EnableNFTables: true } },
  ])("$program takes them", async ({ program, netConf }, context) => {
    if (why !== null) {
      console.warn(`skipped: ${why}`);
      context.skip(why);
    }
    const claims = claimsOf({ netConf });
    await withNamespaces(1, ([name = ""]) =>
      program === "nft"
        ? // nft opens its input anew, which a socket does not allow.
          inside(name, "sh", ["-c", "cat | nft -j -c -f -"], nftCommands(claims))
        : inside(name, program, ["--test"], saveText(claims)),
    );
  });
});

test("a blackhole for the node's own subnet, when it is asked for", () => {
  const claims = claimsOf({ flags: "-iface eth1 -ip-blackhole-route" });
  expect(states(claims, "route")).toContain("blackhole 10.244.0.0/24 via undefined dev undefined");
});

test("flags come from the command line, then from the environment", () => {
  const command = {
    env: new Map([
      ["FLANNELD_IP_MASQ", "true"],
      ["FLANNELD_IFACE", "eth9"],
    ]),
    program: "flanneld",
    words: ["-ip-masq=false", "-iface", "a", "--iface=b", "stop", "-ip-blackhole-route"],
    source: { file: "test", line: 1 },
  };
  expect(flannelOptions(command)).toMatchObject({ ipMasq: false, iface: ["a", "b"], blackholeRoute: false });
  expect(flannelOptions({ ...command, words: [] })).toMatchObject({ ipMasq: true, iface: ["eth9"] });
});

test("a configuration that makes no sense is named", () => {
  expect(() => claimsOf({ netConf: { Network: "10.244.0.0/99" } })).toThrow(IntentError);
  expect(() => claimsOf({ netConf: { Network: "10.244.0.0/99" } })).toThrow(/net-conf\.json: "Network" is no network/);
});
