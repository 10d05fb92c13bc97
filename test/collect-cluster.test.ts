/**
 * Proof on a cluster that is brought up here: collected through its API, through ssh, on the nodes themselves and by hand, every snapshot
 * walks every probe of what was tried there afterwards; kubectl's plugin answers; no secret travels; and the nodes are as they were, even
 * after kubewalk was killed. KUBEWALK_NETWORK and KUBEWALK_PROXY choose others than the defaults; KUBEWALK_KILLS how often it is killed.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";
import { diff } from "../src/core/diff/diff.ts";
import type { Answer } from "../src/core/model/walk.ts";
import { collectedSchema } from "../src/core/schema/collect.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { judgeDiff } from "./judge/diff.ts";
import { askEngine } from "./judge/engine.ts";
import { judge } from "./judge/judge.ts";
import { openRecording } from "./judge/recording.ts";
import { report } from "./judge/report.ts";
import { LOCK_PATIENCE_MS } from "./support/cluster-lock.ts";
import { obstacle, RealCluster, type Ended } from "./support/real-cluster.ts";
import { withSsh } from "./support/ssh-nodes.ts";

const ROLE = fileURLToPath(new URL("../deploy/collect-rbac.yaml", import.meta.url));
const { KUBEWALK_NETWORK: network = "flannel-vxlan", KUBEWALK_PROXY: proxy = "iptables" } = process.env;
const kills = Number(process.env["KUBEWALK_KILLS"] ?? 3);
const NODES = ["n1", "n2", "n3"];
const MOST_CAUSES = 15;
const IMAGE = "kubewalk.test/tools:1";
/** Who holds the roles that ship, and nothing else; and who may only list objects. */
const [COLLECTOR, READER] = ["collector", "reader"];
const SECRET = "c4n4ry-hunter2";
/** kubectl's own credentials in the test's cluster. */
const TOKEN = "kubewalk-test-cluster-admin";

/** Pods that could be used instead of new ones; and objects with secrets where people leave them. */
const OBJECTS = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-tools, namespace: ops, annotations: {example.com/password: ${SECRET}}}
spec:
  selector: {matchLabels: {app: node-tools}}
  template:
    metadata: {labels: {app: node-tools}, annotations: {example.com/api-token: ${SECRET}}}
    spec:
      hostNetwork: true
      hostPID: true
      terminationGracePeriodSeconds: 1
      containers:
      - name: tools
        image: "${IMAGE}"
        imagePullPolicy: Never
        command: [sh, -c, "exec sleep 100000", --password=${SECRET}]
        env: [{name: API_TOKEN, value: ${SECRET}}]
        securityContext: {privileged: true}
---
apiVersion: v1
kind: Secret
metadata: {name: canary, namespace: ops}
stringData: {password: ${SECRET}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: canary, namespace: ops}
data: {password: ${SECRET}}
`;

/** On a node: what its own files, rules and processes may hide. */
const HIDE = `
printf 'apiVersion: v1\\nkind: Config\\nusers: [{name: u, user: {token: ${SECRET}}}]\\n' >/etc/cni/net.d/canary-kubeconfig
mkdir -p /run/NetworkManager/system-connections
printf '[wifi-security]\\npsk=${SECRET}\\n' >/run/NetworkManager/system-connections/canary.nmconnection
iptables -A INPUT -s 192.0.2.77 -m comment --comment "password=${SECRET}" -j ACCEPT
`;

const cannot = obstacle();
/** What CI installs must be there in CI. */
const skips = cannot !== null && (process.env["CI"] !== "true" || !cannot.startsWith("missing"));
if (skips) console.warn(`skipped: ${cannot}`);

describe.skipIf(skips)(`a cluster with ${network} and ${proxy}${skips ? ` (skipped: ${cannot})` : ""}`, () => {
  let cluster: RealCluster | null = null;
  let before: Record<string, string> = {};
  const up = (): RealCluster => {
    if (cluster === null) throw new Error("there is no cluster");
    return cluster;
  };
  const archive = (name: string): string => join(up().home, `${name}.tar.gz`);
  /** Within the control plane's node, from where the API server is reached. */
  const tried = (...args: string[]): Promise<Ended> => up().tried("cp", "kubewalk", ...args);
  const kubewalk = (...args: string[]): Promise<string> => up().on("cp", "kubewalk", ...args);

  /** The same now as before, given a while for kubelet to take down what was deleted. */
  const expectUnchanged = (): Promise<void> =>
    expect.poll(() => up().state(), { timeout: 60_000, interval: 1000 }).toEqual(before);

  const expectNoSecret = (name: string): void => {
    const bytes = gunzipSync(readFileSync(archive(name)));
    for (const secret of [SECRET, TOKEN]) expect(bytes.includes(secret), `${secret} in ${name}`).toBe(false);
  };

  /** Starts `kubewalk collect` beside the API server. */
  const start = (...args: string[]): ReturnType<RealCluster["start"]> =>
    up().start("cp", ["-m", "-n"], "kubewalk", "collect", "--image", IMAGE, ...args);

  beforeAll(async () => {
    if (cannot !== null) throw new Error(cannot);
    cluster = await RealCluster.up(network, proxy);
    cpSync("bin", join(cluster.home, "bin"), { recursive: true });
    await bundleCommand(join(cluster.home, "dist"));
    // What the recorder sets before it tries anything is set before anything is compared.
    await cluster.record("first", "--no-truth");
    await cluster.kubectl("apply", "-f", ROLE);
    for (const user of [COLLECTOR, READER])
      await cluster.kubectl("create", "clusterrolebinding", user, "--clusterrole=kubewalk-collect", `--user=${user}`);
    const binding = ["rolebinding", "c", "-n", "kube-system", "--role=kubewalk-collect", `--user=${COLLECTOR}`];
    await cluster.kubectl("create", ...binding);
    await cluster.apply(OBJECTS);
    await cluster.kubectl("rollout", "status", "-n", "ops", "daemonset/node-tools", "--timeout=60s");
    for (const node of NODES) await cluster.on(node, "sh", "-c", HIDE);
    before = await cluster.state();
  }, LOCK_PATIENCE_MS + 120_000);
  afterAll(() => cluster?.down(), 60_000);

  test("through the API: by pods that are made, by pods that are there", async () => {
    const args = ["collect", "--as", COLLECTOR, "--image", IMAGE, "-o", archive("api"), "--output", "json"];
    const made = collectedSchema.parse(JSON.parse(await kubewalk(...args)));
    expect(made.nodes.map((each) => [each.node, each.state, each.podsNotFound])).toEqual(
      NODES.map((node) => [node, "whole", []]),
    );
    expect(made.missing).toEqual({});
    expectNoSecret("api");
    await kubewalk("collect", "-n", "ops", "--exec-pod", "app=node-tools", "-o", archive("exec-pod"));
    expectNoSecret("exec-pod");
    const none = await tried("collect", "--exec-pod", "app=web", "-o", archive("none"));
    expect([none.status, none.out, existsSync(archive("none"))]).toEqual([2, "", false]);
    expect(none.err).toMatch(/none of the 3 pods with the labels app=web runs with a privileged container/);
    await expectUnchanged();
  }, 120_000);

  test("through ssh, on the nodes, by hand", async () => {
    const { home, kubeconfig } = up();
    // In the control plane's network alone: what ssh calls must see the processes of every node.
    const bySsh = ["collect", "--kubeconfig", kubeconfig, "--ssh", "n3", "n1", "n2"];
    await withSsh(up(), (ssh) =>
      up().run("nsenter", "--net=/run/netns/kw-cp", "kubewalk", ...bySsh, "--ssh-command", ssh, "-o", archive("ssh")),
    );
    for (const folder of ["pieces", "lists"]) mkdirSync(join(home, folder));
    const script = join(home, "collect.sh");
    writeFileSync(script, await kubewalk("collect", "--script"));
    for (const node of NODES) {
      await up().on(node, "kubewalk", "collect", "--local", "-o", archive(`local-${node}`));
      await up().on(node, "sh", "-c", `busybox ash ${script} >${join(home, "pieces", `${node}.tar`)}`);
    }
    for (const each of ["nodes", "pods", "services", "endpointslices", "networkpolicies"])
      writeFileSync(join(home, "lists", `${each}.json`), await up().kubectl("get", each, "-A", "-o", "json"));
    await kubewalk("assemble", join(home, "pieces"), join(home, "lists"), "-o", archive("assembled"));
    for (const name of ["ssh", "assembled", "local-n1"]) expectNoSecret(name);
    await expectUnchanged();
  }, 180_000);

  test("kubectl packet-walk", async () => {
    const inShop = JSON.parse(await up().kubectl("get", "pods", "-n", "shop", "-o", "json")) as {
      items: { metadata: { name: string }; spec: { nodeName: string } }[];
    };
    const client = inShop.items.find(({ metadata }) => metadata.name.startsWith("client-"))!;
    const { name } = client.metadata;
    const beside = inShop.items.find(
      ({ metadata, spec }) => metadata.name.startsWith("web-") && spec.nodeName === client.spec.nodeName,
    )!.metadata.name;
    const plugin = (...args: string[]): Promise<Ended> =>
      up().tried("cp", "kubectl", "packet-walk", ...args, "--image", IMAGE);
    const asCollector = (...args: string[]): Promise<Ended> => plugin("--as", COLLECTOR, "-n", "shop", ...args);

    const good = await asCollector(name, "svc/web:80", "-o", "json");
    expect([good.status, good.err]).toEqual([0, ""]);
    const answer = JSON.parse(good.out) as Answer;
    expect(answer).toMatchObject({ from: `${client.spec.nodeName}/pod/shop/${name}`, verdict: "answered" });
    expect(answer.outcomes.map((each) => `${each.share?.num}/${each.share?.den}`)).toEqual(["1/3", "1/3", "1/3"]);
    // Of a target on the same node, only that node is collected.
    const near = await asCollector(name, `pod/${beside}:8080`, "-o", "json", "--steps");
    expect(near.status).toBe(0);
    const machines = (JSON.parse(near.out) as Answer).outcomes[0]!.steps!.map(({ at }) => at.split("/", 1)[0]!);
    expect(new Set(machines)).toEqual(new Set([client.spec.nodeName]));
    // Names with a namespace, kinds as kubectl writes them, a node, an address: from any namespace.
    const elsewhere = await plugin(`shop/${name}`, `shop/${beside}:7777`, "-o", "json");
    expect([elsewhere.status, (JSON.parse(elsewhere.out) as Answer).outcomes[0]!.client]).toEqual([1, "refused"]);
    const fromNode = await plugin("node/n1", "10.96.0.10:53/udp");
    expect([fromNode.status, fromNode.err]).toEqual([0, ""]);

    expect(await asCollector("nosuch", "svc/web:80")).toMatchObject({ status: 2, out: "" });
    const nobody = await plugin(name, "svc/web:80", "-n", "shop", "--as", "nobody");
    expect([nobody.status, nobody.out]).toEqual([2, ""]);
    expect(nobody.err).toMatch(/not allowed to list nodes; .*deploy\//);
    const reader = await plugin(name, "svc/web:80", "-n", "shop", "--as", READER);
    expect([reader.status, reader.out.includes("answered")]).toEqual([4, false]);
    expect(reader.err).toMatch(/not allowed to create pods; .*deploy\//);
    const completed = await up().on("cp", "kubectl", "__complete", "packet-walk", "-n", "shop", name, "svc/we");
    expect(completed).toContain("svc/web:80");
    await expectUnchanged();
  }, 180_000);

  test("a node that hangs costs its own time, and is named", async () => {
    await up().signal("n2", "kubelet", "STOP");
    let said: Ended;
    try {
      const args = ["--image", IMAGE, "--node-timeout", "25s", "-o", archive("hung"), "--output", "json"];
      said = await tried("collect", ...args);
    } finally {
      await up().signal("n2", "kubelet", "CONT");
    }
    expect(said.status).toBe(1);
    const { nodes } = collectedSchema.parse(JSON.parse(said.out));
    expect(nodes.map(({ node, state, error }) => [node, state, error])).toEqual([
      ["n1", "whole", null],
      ["n2", "failed", "it did not answer within 25 s"],
      ["n3", "whole", null],
    ]);
    expect((await loadSnapshot(archive("hung"))).nodes).toEqual(NODES);
    await expectUnchanged();
  }, 120_000);

  test("Ctrl-C leaves what was collected, and no pod", async () => {
    const child = start("--parallel", "1", "-o", archive("interrupted"));
    child.stderr!.on("data", (chunk: Buffer) => {
      if (chunk.includes("(1 of 3)")) child.kill("SIGINT");
    });
    const status = await new Promise<number | null>((resolve) => child.on("exit", resolve));
    expect(status).toBe(130);
    await expectUnchanged();
    const snapshot = await loadSnapshot(archive("interrupted"));
    const collected = snapshot.namespaces.filter((ns) => ns.links.length > 0).map((ns) => ns.node);
    expect([snapshot.nodes, new Set(collected).has("n1"), new Set(collected).has("n3")]).toEqual([NODES, true, false]);
  }, 120_000);

  test(`killed ${kills} times, then --cleanup`, async () => {
    for (let i = 0; i < kills; i++) {
      const child = start("-o", archive("killed"));
      // Not when it loads, but when pods come and go.
      const timer = setTimeout(() => child.kill("SIGKILL"), 500 + (i * 3500) / kills);
      await new Promise((resolve) => child.on("exit", resolve));
      clearTimeout(timer);
    }
    await kubewalk("collect", "--cleanup", "--as", COLLECTOR);
    await expectUnchanged();
  }, 300_000);

  test("every snapshot walks every probe of what was tried", async () => {
    const recorded = await up().record("record", "--traces", "5");
    /** Beside what was collected, what lies between and beyond the nodes, which only the recorder can see here. */
    const complete = (name: string): string => {
      const dir = join(up().home, name);
      const snapshot = join(dir, "snapshot");
      mkdirSync(dir);
      execFileSync("tar", ["-xzf", archive(name), "-C", dir]);
      for (const each of ["cp", "fabric", "outside"])
        cpSync(join(recorded, "snapshot/nodes", each), join(snapshot, "nodes", each), { recursive: true });
      cpSync(join(recorded, "snapshot/fabric.json"), join(snapshot, "fabric.json"));
      cpSync(join(recorded, "truth.json"), join(dir, "truth.json"));
      const info = JSON.parse(readFileSync(join(snapshot, "snapshot.json"), "utf8")) as { nodes: string[] };
      expect(info.nodes).toEqual(NODES);
      writeFileSync(join(snapshot, "snapshot.json"), JSON.stringify({ ...info, nodes: ["cp", ...info.nodes] }));
      return dir;
    };
    const reference = await loadSnapshot(join(recorded, "snapshot"));
    type Loaded = typeof reference;
    const places = ({ namespaces }: Loaded): string[] => namespaces.map((ns) => ns.place).toSorted();
    const missing = ({ namespaces }: Loaded): string[] =>
      namespaces.flatMap((ns) => [...ns.missing.keys()].map((aspect) => `${ns.place} ${aspect}`)).toSorted();
    for (const name of ["api", "exec-pod", "ssh", "assembled"]) {
      const recording = openRecording(complete(name));
      const verdict = await judge(recording, askEngine);
      expect(verdict.probes.probes).toBeGreaterThan(500);
      if (verdict.disagreements.length > 0) expect.fail(`${name}:\n${report(recording, verdict, MOST_CAUSES)}`);
      const snapshot = await loadSnapshot(recording.snapshot);
      expect(snapshot.problems, name).toEqual([]);
      if (name !== "assembled") expect(judgeDiff(diff(snapshot)), name).toEqual([]);
      expect(places(snapshot), name).toEqual(places(reference));
      expect(missing(snapshot), name).toEqual(missing(reference));
    }
    for (const node of NODES) {
      const alone = await loadSnapshot(archive(`local-${node}`));
      expect([alone.problems, alone.nodes]).toEqual([[], [node]]);
    }
  }, 300_000);
});
