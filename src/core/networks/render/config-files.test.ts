/** Files of daemons, judged by the daemons themselves where they are here. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatIp } from "../../model/address.ts";
import { parseIpvs } from "../../parse/ipvs.ts";
import { kubeProxyRenderer } from "./renderer-kube-proxy.ts";
import type { RenderedFile } from "./renderer.ts";
import { renderExample } from "./testing/examples.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubewalk-files-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the files of each machine into a folder of its own; paths of the files by machine. */
function written(files: readonly RenderedFile[]): string[] {
  return files.map(({ at, path, text }) => {
    const to = join(folder, at.replaceAll("/", "_"), basename(path));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, text);
    return to;
  });
}

function said(command: string, ...words: string[]): { status: number | null; text: string } {
  const ran = spawnSync(command, words, { encoding: "utf8" });
  return { status: ran.status, text: `${ran.stdout ?? ""}${ran.stderr ?? ""}` };
}

/** The BIRD of this major version: of these the first that says so. KUBEWALK_BIRD1 names Calico's ancestor, which distributions drop. */
function birdOf(version: RegExp): string | null {
  const known = [process.env["KUBEWALK_BIRD1"], "bird1", "bird"].filter((each) => each !== undefined);
  return known.find((each) => version.test(said(each, "--version").text)) ?? null;
}

const bird1 = birdOf(/version 1\.6/);
const bird2 = birdOf(/version 2\./);

describe("BIRD", () => {
  test.skipIf(bird2 === null)("2 takes the host's configuration", () => {
    const { files } = renderExample("bird", null, "bird.yaml");
    expect(files).toHaveLength(2);
    for (const path of written(files)) expect(said(bird2 ?? "", "-p", "-c", path)).toEqual({ status: 0, text: "" });
  });

  test.skipIf(bird1 === null).each([
    ["bgp", "racks.yaml"],
    ["ipip", "racks.yaml"],
    ["bgp", "dual-stack.yaml"],
  ])("1.6 takes Calico's: %s of %s", (mode, example) => {
    const paths = written(renderExample("calico", mode, example).files).filter((path) => path.endsWith("/bird.cfg"));
    expect(paths.length).toBeGreaterThan(1);
    for (const path of paths) expect(said(bird1 ?? "", "-p", "-c", path)).toEqual({ status: 0, text: "" });
  });

  test("does not run where every pool is VXLAN", () => {
    expect(renderExample("calico", "vxlan", "shop.yaml").files).toEqual([]);
  });
});

const isHere = (...command: string[]): boolean => said(command[0] ?? "", ...command.slice(1)).status === 0;

describe("a virtual address", () => {
  test.skipIf(!isHere("haproxy", "-v"))("haproxy -c", () => {
    const paths = written(renderExample("vip", null, "vip.yaml").files).filter((path) => path.endsWith("haproxy.cfg"));
    expect(paths).toHaveLength(3);
    for (const path of paths) expect(said("haproxy", "-c", "-f", path)).toMatchObject({ status: 0 });
  });

  test.skipIf(!isHere("keepalived", "--version") || !isHere("unshare", "-n", "true"))("keepalived -t", () => {
    const paths = written(renderExample("vip", null, "vip.yaml").files).filter((path) => path.includes("keepalived"));
    const script = (path: string): string =>
      `ip link add eth0 type veth peer name far; ip link set eth0 up; keepalived -t -f ${path}`;
    for (const path of paths) {
      const { text } = said("unshare", "-n", "sh", "-c", script(path));
      // The checks' own scripts are not on this machine, and passwords have 8 characters.
      const wrong = text.split("\n").filter((line) => line !== "" && !/script|Disabling track|truncat/i.test(line));
      expect(wrong).toEqual([]);
    }
  });
});

const bgpd = ["/usr/lib/frr/bgpd"].find((path) => existsSync(path));

test.skipIf(bgpd === undefined || !isHere("unshare", "-n", "true"))("FRR's bgpd takes MetalLB's configuration", () => {
  for (const path of written(renderExample("metallb", null, "metallb.yaml").files)) {
    const { text } = said("unshare", "-n", bgpd ?? "", "-C", "-f", path);
    // `log file` and `nht` are for zebra, in the one file that all of FRR's daemons read.
    const unknown = text.split("\n").filter((line) => line.includes("No such command"));
    expect(unknown.filter((line) => !/: (?:log file|ip nht|ipv6 nht) /.test(line))).toEqual([]);
  }
});

test("virtual servers read back as they were intended", () => {
  const { files } = renderExample("kube-proxy", "ipvs", "dual-stack.yaml");
  const [file] = files.filter(({ at }) => at === "n1/host");
  const services = parseIpvs(file?.text ?? "", "ipvs.txt");
  const text = services.map(({ ip, port, scheduler, reals }) => ({
    at: `${ip === null ? "" : formatIp(ip)}:${port} ${scheduler}`,
    to: reals.map((real) => `${formatIp(real.ip)}:${real.port} ${real.method} ${real.weight}`),
  }));
  const [to4, to6] = [["10.244.0.2:8080 masq 1"], ["fd00:10:244::2:8080 masq 1"]];
  expect(text).toContainEqual({ at: "10.96.0.11:80 rr", to: [...to4, "10.244.1.2:8080 masq 1"] });
  // externalTrafficPolicy Local: by the node's own port only the pod on it.
  expect(text).toContainEqual({ at: "172.30.0.11:30000 rr", to: to4 });
  expect(text).toContainEqual({ at: "fd00:30::11:30000 rr", to: to6 });
  expect(kubeProxyRenderer.modes).toEqual(["iptables", "nftables", "ipvs"]);
});
