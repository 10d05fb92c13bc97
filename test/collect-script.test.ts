/** The script that runs on nodes: under every shell, without secrets, and with any tool missing or mad. In namespaces made here, as root. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { collectSchema, nodeSchema } from "../src/core/schema/collect.ts";
import { PodIndex } from "../src/host/collect/attribute.ts";
import { gather, type NodeResult } from "../src/host/collect/gather.ts";
import { nodeScript } from "../src/host/collect/node-script.ts";
import { memorySink } from "../src/host/collect/sink.ts";
import type { Snapshot } from "../src/core/model/snapshot.ts";

const NEEDED = ["unshare", "nsenter", "ip", "nft", "iptables", "dash", "busybox", "bash"];
const path = (process.env["PATH"] ?? "").split(":");
const has = (tool: string): boolean => path.some((dir) => existsSync(join(dir, tool)));
const missing = NEEDED.filter((tool) => !has(tool));
const cannot = process.getuid?.() !== 0 ? "needs root" : missing.length > 0 ? `missing ${missing.join(", ")}` : null;
const home = mkdtempSync(join(tmpdir(), "kubewalk-script-"));
const script = join(home, "collect.sh");

beforeAll(() => {
  writeFileSync(script, nodeScript());
  if (cannot !== null) console.warn(`skipped: ${cannot}`);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Bytes of the archive that the script prints in a machine of its own, after `setup` (a script for bash) made it what it is. */
async function collected(setup: string, shell = "dash", env: Record<string, string> = {}): Promise<Buffer> {
  const inner = join(home, `setup-${Math.trunc(performance.now() * 1000)}.sh`);
  writeFileSync(
    inner,
    `set -e\nhostname n1\nmount -t tmpfs none /run\nmkdir -p /run/netns\nip link set lo up\n${setup}\nexec ${shell} ${script}\n`,
  );
  const { stdout } = await promisify(execFile)(
    "unshare",
    ["-m", "-n", "-p", "-u", "-f", "--kill-child", "--mount-proc", "bash", inner],
    { encoding: "buffer", maxBuffer: 2 ** 28, env: { ...process.env, KUBEWALK_NAME: "n1", ...env } },
  );
  return stdout;
}

/** The archive as kubewalk reads it. */
async function read(
  archive: Buffer,
): Promise<{ snapshot: Snapshot; result: NodeResult; text: (path: string) => string }> {
  const sink = memorySink();
  const bytes = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield archive;
  };
  const [result] = await gather([{ label: "n1", name: "n1", open: bytes }], sink, {
    parallel: 1,
    timeout: 60_000,
    pods: new PodIndex(),
    signal: new AbortController().signal,
    live: false,
    now: () => 0,
  });
  return {
    snapshot: assembleSnapshot(sink.files),
    result: result!,
    text: (file) => sink.files.read(`nodes/n1/${file}`) ?? "",
  };
}

const whoever = (name: string, work: () => Promise<void>, timeout = 120_000): void => {
  test(
    name,
    async (context) => {
      if (cannot !== null) return context.skip(cannot);
      await work();
    },
    timeout,
  );
};

/** A namespace with a path, one of a process alone, one behind a mount that hides it, and rules of both kinds. */
const NETWORK = `
ip netns add named
ip link add name a type veth peer name b netns named
ip -n named addr add 10.9.0.2/24 dev b
unshare -n sleep 1000 </dev/null >/dev/null 2>&1 &
touch /run/lost; unshare --net=/run/lost true; mount -t tmpfs none /run/lost 2>/dev/null || mount --bind /dev/null /run/lost
iptables -A INPUT -p tcp --dport 22 -m comment --comment "from the office" -j ACCEPT
nft add table inet mine
nft add chain inet mine c '{ type filter hook input priority 0; }'
nft add rule inet mine c tcp dport 80 counter accept comment '"the web"'
`;

describe("a node", () => {
  let first: Snapshot | undefined;
  for (const shell of ["dash", "busybox ash", "bash"])
    whoever(`under ${shell}`, async () => {
      const { snapshot, result, text } = await read(await collected(NETWORK, shell));
      expect(result.state).toBe("whole");
      expect(snapshot.problems).toEqual([]);
      const [host, ...others] = snapshot.namespaces;
      expect([...host!.missing.keys()]).toEqual([]);
      expect(host!.links.map((link) => link.name)).toContain("a");
      expect(host!.xtables.some((ruleset) => ruleset.backend === "nft")).toBe(true);
      expect(others).toHaveLength(2);
      expect(others.map((ns) => ns.path).toSorted()).toEqual([null, "/run/netns/named"].toSorted());
      expect(text("host/iptables-save.txt")).toContain('--comment "from the office"');
      expect(text("host/nft.txt")).toContain('comment "the web"');
      expect(text("collect.json")).not.toContain("iptables-save");
      expect(nodeSchema.parse(JSON.parse(text("node.json"))).name).toBe("n1");
      expect(collectSchema.parse(JSON.parse(text("collect.json"))).changed).toEqual([]);
      first ??= snapshot;
      const devices = (all: Snapshot): string[] =>
        all.namespaces.map((ns) => ns.links.map((link) => link.name).join(" ")).toSorted();
      expect(devices(snapshot)).toEqual(devices(first));
    });

  whoever("asked for some pods, it still tells of namespaces that may be theirs", async () => {
    const { snapshot } = await read(
      await collected(NETWORK, "dash", { KUBEWALK_ONCE: "yes", KUBEWALK_PODS: "shop/web-1" }),
    );
    expect(snapshot.namespaces).toHaveLength(3);
  });

  whoever("says what changed while it was captured", async () => {
    const change = `${NETWORK}\n(sleep 0.2; while :; do nft add rule inet mine c tcp dport 81 accept; sleep 0.1; done) </dev/null >/dev/null 2>&1 &`;
    const { result, text } = await read(await collected(change));
    expect(result.changed).toContain("host/nft.txt");
    expect(JSON.parse(text("commands.json"))).toContainEqual(
      expect.objectContaining({ file: "host/nft.txt", changed: true }),
    );
  });
});

const SECRET = "c4n4ry-hunter2";
/** Where secrets hide, on a node. */
const SECRETS = `
for d in /etc/cni /etc/keepalived /etc/haproxy /etc/NetworkManager /etc/nmstate /etc/frr /etc/bird /etc/netplan /etc/calico /var/lib/cni; do mkdir -p $d 2>/dev/null; mount -t tmpfs none $d; done
mkdir -p /etc/cni/net.d /etc/NetworkManager/system-connections
cat >/etc/bird/bird.conf <<'X'
protocol bgp tor {
  neighbor 10.0.0.1 as 64512;
  password "${SECRET}";
  local as 64513; # the password is ${SECRET}
}
protocol ospf o {
  area 0 { interface "eth0" { authentication cryptographic; password "${SECRET}" { id 1; }; }; };
}
protocol bgp spread { password
    "${SECRET}"; local as 1; }
# password for the other one: ${SECRET}
X
cat >/etc/keepalived/keepalived.conf <<'X'
vrrp_instance VI_1 {
  authentication {
    auth_type PASS
    auth_pass ${SECRET}
  }
  virtual_ipaddress { 10.0.0.9 }
}
X
cat >/etc/haproxy/haproxy.cfg <<'X'
userlist admins
  user admin insecure-password ${SECRET}
frontend stats
  stats auth admin:${SECRET}
  bind :8080
X
cat >/etc/frr/frr.conf <<'X'
router bgp 64512
 neighbor 10.0.0.1 password ${SECRET}
 ip ospf message-digest-key 1 md5 ${SECRET}
key chain k
  key-string ${SECRET}
X
cat >/etc/cni/net.d/10-calico.conflist <<'X'
{"name":"k8s-pod-network","plugins":[{"type":"calico","policy":{"type":"k8s","k8s_auth_token":"${SECRET}"},"kubernetes":{"kubeconfig":"/etc/cni/net.d/calico-kubeconfig"},"etcd_password": "${SECRET}"}]}
X
cat >/etc/cni/net.d/calico-kubeconfig <<'X'
apiVersion: v1
kind: Config
users:
- name: calico
  user:
    token: ${SECRET}
X
sed 's/token/client-key-data/' /etc/cni/net.d/calico-kubeconfig >/etc/cni/net.d/other.conf
cat >/etc/NetworkManager/system-connections/wifi.nmconnection <<'X'
[connection]
id=wifi
[wifi-security]
key-mgmt=wpa-psk
psk=${SECRET} with spaces
[802-1x]
password=${SECRET}
private-key-password=${SECRET}
[vpn-secrets]
anything=${SECRET}
[ipv4]
method=auto
X
cat >/etc/nmstate/a.yml <<'X'
interfaces:
- name: eth0
  type: ethernet
  802.1x:
    identity: me
    private-key-password: ${SECRET}
    password: |
      ${SECRET}
      ${SECRET}
    eap-methods: [tls]
X
cat >/etc/netplan/a.yaml <<'X'
network:
  wifis:
    wlan0: {access-points: {"home": {password: "${SECRET}"}}, dhcp4: true}
  tunnels:
    wg0:
      key: /etc/wg.key
      keys:
        private: |
          -----BEGIN OPENSSH PRIVATE KEY-----
          ${SECRET}
          -----END OPENSSH PRIVATE KEY-----
X
mkdir /run/programs
printf '#!/bin/sh\nsleep 1000\n' >/run/programs/kubelet; chmod +x /run/programs/kubelet; cp /run/programs/kubelet /run/programs/calico-felix
KUBECONFIG_TOKEN=${SECRET} /run/programs/kubelet --token=${SECRET} --bootstrap-token ${SECRET} --registry-password ${SECRET} --node-ip 10.0.0.1 --cloud https://me:${SECRET}@host/ </dev/null >/dev/null 2>&1 &
FELIX_ETCDPASSWORD=${SECRET} FELIX_IPINIPENABLED=true PASSWORD=${SECRET} /run/programs/calico-felix </dev/null >/dev/null 2>&1 &
iptables -A INPUT -m comment --comment "password=${SECRET}" -j ACCEPT
iptables -A INPUT -m comment --comment "token: ${SECRET}" -j LOG --log-prefix "secret ${SECRET}"
iptables -A INPUT -m comment --comment "shop/token-service:http cluster IP" -j ACCEPT
nft add table inet mine
nft add chain inet mine c
nft add rule inet mine c accept comment '"api-key ${SECRET}"'
sleep 0.3
`;

describe("secrets", () => {
  whoever("never leave the node, and what stands around them does", async () => {
    for (const shell of ["dash", "busybox ash"]) {
      const archive = await collected(SECRETS, shell);
      const { result, snapshot, text } = await read(archive);
      expect(result.state).toBe("whole");
      const at = archive.indexOf("c4n4ry");
      expect(at < 0 ? "" : archive.subarray(Math.max(0, at - 300), at + 40).toString("latin1")).toBe("");
      expect(archive.includes("hunter2")).toBe(false);
      expect(snapshot.problems).toEqual([]);
      expect(text("files/etc/bird/bird.conf")).toContain('neighbor 10.0.0.1 as 64512;\n  password "REMOVED";');
      expect(text("files/etc/bird/bird.conf")).toContain('"REMOVED"; local as 1; }');
      expect(text("files/etc/keepalived/keepalived.conf")).toContain("virtual_ipaddress { 10.0.0.9 }");
      expect(JSON.parse(text("files/etc/cni/net.d/10-calico.conflist"))).toMatchObject({
        plugins: [{ policy: { type: "k8s", k8s_auth_token: "REMOVED" }, etcd_password: "REMOVED" }],
      });
      expect(text("files/etc/NetworkManager/system-connections/wifi.nmconnection")).toContain("[ipv4]\nmethod=auto");
      expect(text("files/etc/nmstate/a.yml")).toContain("eap-methods: [tls]");
      expect(text("files/etc/netplan/a.yaml")).toContain(
        'wlan0: {access-points: {"home": {password: "REMOVED"}}, dhcp4: true}',
      );
      expect(text("programs/kubelet.cmdline")).toContain("--node-ip 10.0.0.1 --cloud https://REMOVED@host/");
      expect(text("programs/calico-felix.cmdline")).toMatch(/^env FELIX_IPINIPENABLED=true /);
      expect(text("host/iptables-save.txt")).toContain('--comment "shop/token-service:http cluster IP"');
      const { removed } = JSON.parse(text("collect.json")) as { removed: { file: string }[] };
      const files = new Set(removed.map((each) => each.file));
      for (const file of [
        "files/etc/bird/bird.conf",
        "files/etc/cni/net.d/calico-kubeconfig",
        "programs/kubelet.cmdline",
        "host/iptables-save.txt",
        "host/nft.txt",
      ])
        expect(files).toContain(file);
    }
  });
});

const TOOLS = [
  "ip",
  "bridge",
  "nft",
  "iptables-save",
  "ip6tables-save",
  "ipset",
  "conntrack",
  "ss",
  "sysctl",
  "tc",
  "nstat",
  "nsenter",
];
const BASIC = ["timeout", "date", "sort", "readlink", "grep", "sed", "ls", "cat", "head"];
const MAD: Record<string, string> = {
  hanging: "#!/bin/sh\nexec sleep 1000\n",
  failing: '#!/bin/sh\necho "cannot" >&2\nexit 3\n',
  "printing rubbish": "#!/bin/sh\nprintf '\\001\\377 }{ rubbish\\n'\n",
};

/** All programs of the machine in one folder, of which one is another. */
const without = (tool: string, instead: string | null): string => `
mkdir /run/bin /run/usr-bin /run/usr-sbin
mount --bind /usr/bin /run/usr-bin; mount --bind /usr/sbin /run/usr-sbin
ln -s -f -t /run/bin /run/usr-sbin/* /run/usr-bin/*
rm -f /run/bin/busybox /run/bin/${tool}
${instead === null ? "" : `cat >/run/bin/${tool} <<'X'\n${instead}X\nchmod +x /run/bin/${tool}`}
mount --bind /run/bin /usr/bin; mount --bind /run/bin /usr/sbin
hash -r`;

describe("a tool that is", () => {
  const cases = [
    ...[...TOOLS, ...BASIC].map((tool) => ({ tool, how: "missing", instead: null })),
    // Each tool in one of the ways, each way with several tools: all of them would take minutes.
    ...TOOLS.map((tool, i) => {
      const [how, instead] = Object.entries(MAD)[i % 3]!;
      return { tool, how, instead };
    }),
  ];
  for (const { tool, how, instead } of cases)
    whoever(`${how}: ${tool}`, async () => {
      const archive = await collected(
        NETWORK.replaceAll(/^touch .*$/gm, "") + without(tool, instead),
        "/run/usr-bin/dash",
        { KUBEWALK_LIMIT: "2" },
      );
      const { result, snapshot } = await read(archive);
      expect(result.state, String(result.error)).toBe("whole");
      const host = snapshot.namespaces.find((ns) => ns.place === "n1/host")!;
      // What the tool alone tells is not known, and said to be so; all else is.
      const own: Record<string, string> = {
        ip: "addr",
        bridge: "fdb",
        nft: "nft",
        "iptables-save": "iptables",
        ss: "sockets",
        tc: "tc",
      };
      const aspect = own[tool];
      if (aspect !== undefined) expect([...host.missing.keys()]).toContain(aspect);
      if (tool !== "ip") expect(host.links.map((link) => link.name)).toContain("a");
      if (BASIC.includes(tool)) expect([...host.missing.keys()]).toEqual([]);
    });
});

test("shellcheck finds nothing", (context) => {
  if (!has("shellcheck")) {
    console.warn("skipped: no shellcheck");
    return context.skip("no shellcheck");
  }
  expect(execFileSync("sh", ["-c", `shellcheck -s sh ${script} || true`], { encoding: "utf8" })).toBe("");
});

test("an archive is also read when it is compressed, and what is cut off counts as far as it goes", async (context) => {
  if (cannot !== null) return context.skip(cannot);
  const archive = await collected("");
  const cut = await read(archive.subarray(0, 40_000));
  expect(cut.result).toMatchObject({ state: "partial", error: expect.stringMatching(/ends/) });
  expect(cut.snapshot.namespaces[0]!.links.map((link) => link.name)).toEqual(["lo"]);
  const damaged = await read(Buffer.concat([archive.subarray(0, 20_480), Buffer.alloc(2000, 7)]));
  expect(damaged.result.state).toBe("partial");
  expect(() => gunzipSync(archive)).toThrow();
  expect(readFileSync(script, "utf8")).toContain("kubewalk collect");
});
