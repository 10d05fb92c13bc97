/** Reviewable text of renderings; after a wanted change run `npx vitest run src/cli -u`. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kubewalk, type Ran } from "../../test/support/host.ts";
import { makeSnapshot } from "../../test/support/snapshot.ts";
import { renderSchema } from "../core/schema/render.ts";

const snapshot = makeSnapshot();
const SHOP = "examples/render/shop.yaml";

const render = (args: string, stdin?: string): Promise<Ran> =>
  kubewalk(["render", ...args.split(" ")], { snapshot, ...(stdin === undefined ? {} : { stdin: [stdin] }) });

const NODE = `apiVersion: v1
kind: Node
metadata: { name: n1 }
status: { addresses: [{ type: InternalIP, address: 172.30.0.11 }] }
`;

describe("text", () => {
  test.each([
    ["flannel", `flannel -f ${SHOP} --node n1`],
    ["kube-proxy", `kube-proxy -f ${SHOP} --node n2 -o iptables`],
    ["kube-proxy-nft", `kube-proxy -f ${SHOP} --mode nftables --node n1 -o nft`],
    ["docker", "docker-bridge -f examples/render/docker.yaml"],
    ["metallb", "metallb -f examples/render/metallb.yaml"],
    ["node-ip", "node-ip -f examples/render/node-ip.yaml"],
    ["list", "--list"],
  ])("%s", async (name, args) => {
    const ran = await render(args);
    expect(ran).toMatchObject({ status: 0, err: "" });
    await expect(ran.out).toMatchFileSnapshot(`text/snapshots/render-${name}.txt`);
  });
});

test("the example of docs/render.md is what comes out", async () => {
  const [, args = "", out = ""] =
    /^\$ kubewalk render (.*)\n([\s\S]*?)^```$/m.exec(readFileSync("docs/render.md", "utf8")) ?? [];
  expect((await render(args)).out).toBe(out);
});

describe("as JSON every example fits the schema", () => {
  const NETWORKS: Record<string, string[]> = {
    "shop.yaml": ["kube-proxy", "flannel", "calico", "cilium", "cni", "dns", "node-ip"],
    "dual-stack.yaml": ["kube-proxy --mode nftables", "flannel", "calico", "cilium"],
    "racks.yaml": ["flannel --mode directrouting", "calico --mode bgp"],
    "docker.yaml": ["docker-bridge"],
    "metallb.yaml": ["metallb", "kube-proxy"],
    "vip.yaml": ["vip"],
    "bird.yaml": ["bird"],
    "dns.yaml": ["dns --mode nodelocal"],
    "node-ip.yaml": ["node-ip --mode openshift"],
    "policies.yaml": [`calico -f ${SHOP}`],
  };

  test("each example is for something", () => {
    expect(readdirSync("examples/render").toSorted()).toEqual(Object.keys(NETWORKS).toSorted());
  });

  test.each(Object.entries(NETWORKS).flatMap(([file, networks]) => networks.map((network) => [network, file])))(
    "%s of %s",
    async (network, file) => {
      const ran = await render(`${network} -f examples/render/${file} -o json`);
      expect(ran).toMatchObject({ status: 0, err: "" });
      const value: unknown = JSON.parse(ran.out);
      expect(renderSchema.parse(value)).toEqual(value);
    },
  );
});

describe("forms", () => {
  const titles = (out: string): string[] => [...out.matchAll(/^# (\S.*)$/gm)].map((found) => found[1] ?? "");

  test("each shows its own part", async () => {
    const args = `calico -f ${SHOP} --mode bgp --node n1 -o`;
    expect(titles((await render(`${args} ip`)).out)).toEqual([
      "n1/host: ip, bridge, sysctl",
      "n1/pod/shop/web-1: ip, bridge, sysctl",
    ]);
    expect(titles((await render(`${args} iptables`)).out)).toEqual([
      "n1/host: ipset restore",
      "n1/host: iptables-restore --noflush",
    ]);
    for (const form of ["bird", "config"])
      expect((await render(`${args} ${form}`)).out.match(/^# n1: \S+$/gm)).toEqual([
        "# n1: /etc/calico/confd/config/bird.cfg",
        "# n1: /etc/calico/confd/config/bird_aggr.cfg",
        "# n1: /etc/calico/confd/config/bird_ipam.cfg",
      ]);
  });

  test("what a network has nothing of is said beside an empty output", async () => {
    expect(await render(`flannel -f ${SHOP} -o bird`)).toMatchObject({
      status: 0,
      out: "",
      err: "note: nothing of form bird: flannel has none for these objects\n",
    });
  });

  test("standard input, and several files", async () => {
    const pod = (name: string): string =>
      `---\napiVersion: v1\nkind: Pod\nmetadata: { name: ${name} }\nspec: { nodeName: n1 }\n`;
    const one = await render("cni -f - -o ip", NODE + pod("a"));
    expect(one.out).toContain("ip netns add default.a");
    const both = await render(`cni -f - -f ${SHOP} -o ip`, NODE.replace("n1", "n3") + pod("a"));
    expect(both.out).toContain("ip netns add shop.web-1");
    expect(both.out).toContain("ip netns add default.a");
  });

  test("a List, as kubectl prints it, and the node that was asked for alone", async () => {
    const node = (name: string, last: number): object => ({
      metadata: { name },
      status: { addresses: [{ type: "InternalIP", address: `172.30.0.${last}` }] },
    });
    const list = { apiVersion: "v1", kind: "NodeList", items: [node("n1", 11), node("n2", 12)] };
    const ran = await render("flannel --mode host-gw --node n2 -o ip -f -", JSON.stringify(list));
    expect(ran).toMatchObject({ status: 0, err: "" });
    expect(ran.out).toContain("ip route replace 10.244.0.0/24 via 172.30.0.11 dev eth0");
    expect(ran.out).not.toContain("n1/host");
  });

  test("what people may have expected is said", async () => {
    const deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n";
    expect((await render("flannel -f - -o ip", NODE + deployment)).err).toBe(
      "note: Deployment web: its pods are not made here; write Pods with a nodeName\n",
    );
  });
});

test("a mode that was asked for stands before what objects say", async () => {
  const config = `${NODE}---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
`;
  expect((await render("kube-proxy -f -", config)).out).toContain("table ip kube-proxy");
  expect((await render("kube-proxy -f - --mode iptables", config)).out).toContain("KUBE-SERVICES");
  const flannel = `${NODE}---
apiVersion: v1
kind: ConfigMap
metadata: { name: kube-flannel-cfg }
data: { net-conf.json: '{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}' }
`;
  expect((await render("flannel -f - -o ip", flannel)).out).not.toContain("vxlan");
  expect((await render("flannel -f - -o ip --mode vxlan", flannel)).out).toContain("type vxlan");
});

const own = (kind: string, spec: string): string =>
  `apiVersion: kubewalk/v1\nkind: ${kind}\nmetadata: { name: x }\nspec:\n${spec}`;

test("tunnels only where they are needed: flannel and Calico between two racks", async () => {
  const routes = async (args: string): Promise<string[]> =>
    (
      (await render(`${args} -f examples/render/racks.yaml --node n1 -o ip`)).out.match(
        /^ip route replace .* via .*$/gm,
      ) ?? []
    ).map((line) => line.slice("ip route replace ".length));
  expect(await routes("flannel --mode directrouting")).toEqual([
    "10.244.1.0/24 via 172.30.1.12 dev ens3",
    "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
  ]);
  expect(await routes("calico --mode crosssubnet")).toEqual([
    expect.stringMatching(/^\S+\/26 via 172\.30\.1\.12 dev ens3 onlink proto 80$/),
    expect.stringMatching(/^(\S+)\/26 via \1 dev vxlan\.calico onlink mtu 8950$/),
  ]);
  expect(await routes("calico --mode bgp")).toEqual([
    expect.stringMatching(/^\S+\/26 via 172\.30\.1\.12 dev ens3 proto bird metric 1024$/),
    expect.stringMatching(/^\S+\/26 via 172\.30\.1\.1 dev ens3 proto bird metric 1024$/),
  ]);
});

describe("mistakes", () => {
  const networks = "kube-proxy, flannel, calico, cilium, cni, docker-bridge, metallb, vip, bird, dns, node-ip";

  test.each([
    ["flannel", "render needs objects: -f FILE, or -f - for standard input"],
    [`weave -f ${SHOP}`, `no network "weave"; there are ${networks}`],
    [
      `flannel -f ${SHOP} --mode udp`,
      'flannel has no mode "udp"; there are vxlan, host-gw, directrouting, nftables, l3-miss, l2-miss',
    ],
    ["metallb -f examples/render/metallb.yaml --mode l2", "metallb has no modes to choose from"],
    [`flannel -f ${SHOP} --node n9`, 'no node "n9"; there are n1, n2'],
    ["flannel -f nowhere.yaml", "nowhere.yaml: cannot be read: ENOENT: no such file or directory, open 'nowhere.yaml'"],
    [`metallb -f ${SHOP}`, "the objects hold no IPAddressPool: MetalLB has no address to give"],
    [
      `docker-bridge -f ${SHOP}`,
      "the objects hold no DockerHost (apiVersion: kubewalk/v1): there is no machine with Docker",
    ],
  ])("%s", async (args, error) => {
    expect(await render(args)).toMatchObject({ status: 2, out: "", err: `error: ${error}\n` });
  });

  test.each([
    ["flannel", `${NODE}---\nkind: [`, /^6: Flow sequence/],
    ["flannel", `${NODE}---\nmetadata: { name: x }\n`, '6: expected an object with a "kind"'],
    ["flannel", `${NODE}---\nkind: Pod\n`, '6: expected an "apiVersion" in this Pod'],
    ["flannel", `${NODE}---\napiVersion: v1\nkind: Pod\n`, "6: expected a name in the metadata of this Pod"],
    ["flannel", `${NODE}---\n- 1\n`, "6: expected an object with apiVersion and kind"],
    ["flannel", `${NODE}---\n${NODE}`, "6: Node n1: stands at standard input:1, too"],
    ["flannel", NODE.replace("InternalIP", "ExternalIP"), "1: Node n1: has no InternalIP in status.addresses"],
    ["flannel", NODE.replace("172.30.0.11", "172.30.0.311"), '1: Node n1: its InternalIP "172.30.0.311" is no address'],
    [
      "kube-proxy",
      `${NODE}---\napiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { nodeName: n9 }\n`,
      '6: Pod default/a: there is no Node "n9" for it',
    ],
    [
      "kube-proxy",
      `${NODE}---\napiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 70000 }] }\n`,
      '6: Service default/a: "port" should be a port, not 70000',
    ],
    ["kube-proxy", `${NODE}---\n${own("Router", "  a: 1\n")}`, /^6: Router x: kubewalk\/v1 has no such kind; it has /],
    [
      "docker-bridge",
      own("DockerHost", "  containers:\n    - name: web\n      ports: [80]\n"),
      "7: DockerHost x: spec.containers.0.ports.0 should be an object",
    ],
    [
      "docker-bridge",
      own("DockerHost", "  icc: true\n  userlandproxy: false\n"),
      /^6: DockerHost x: spec.userlandproxy is not known here; there are generation, /,
    ],
    ["vip", own("VirtualIP", "  vip: 10.0.0\n"), "5: VirtualIP x: spec.vip should be an address, not 10.0.0"],
    ["bird", own("HostRouter", "  as: 0\n"), "5: HostRouter x: spec.as should be an AS number, not 0"],
    [
      "node-ip",
      own("Machine", "  devices:\n    - { name: eth0, addresses: [10.0.0.1] }\n"),
      /^6: Machine x: spec.devices.0.addresses should be addresses with lengths/,
    ],
  ])("%s of what makes no sense: %#", async (network, text, error) => {
    const ran = await render(`${network} -f -`, text);
    expect(ran).toMatchObject({ status: 2, out: "" });
    const [, said = ran.err] = /^error: standard input:([\s\S]*)\n$/.exec(ran.err) ?? [];
    if (typeof error === "string") expect(said).toBe(error);
    else expect(said).toMatch(error);
  });

  test("objects without a Node", async () => {
    const pod = "apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 80 }] }\n";
    expect(await render("kube-proxy -f -", pod)).toMatchObject({
      status: 2,
      err: "error: the objects hold no Node: without one there is no place to program\n",
    });
  });
});
