/** Archives that cpio(1) reads, and kernels found with the modules that a machine boots with. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cpio, cpioFile, withFolders } from "./cpio.ts";
import { kernels, moduleClosure } from "./kernel.ts";

const home = mkdtempSync(join(tmpdir(), "kubewalk-kernel-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function file(path: string, text: string): void {
  mkdirSync(join(home, path, ".."), { recursive: true });
  writeFileSync(join(home, path), text);
}

const hasCpio = spawnSync("cpio", ["--version"]).status === 0;
describe.skipIf(!hasCpio)(`cpio${hasCpio ? "" : " (skipped: no cpio here)"}`, () => {
  test("unpacks what was packed, with folders and permissions", () => {
    const files = [cpioFile("init", "#!/bin/sh\n", 0o755), cpioFile("a/b/c.ko", Uint8Array.of(0, 1, 2, 255))];
    const out = join(home, "out");
    mkdirSync(out);
    execFileSync("cpio", ["--extract", "--quiet"], { cwd: out, input: cpio(withFolders(files)) });
    expect(readFileSync(join(out, "init"), "utf8")).toBe("#!/bin/sh\n");
    expect(statSync(join(out, "init")).mode & 0o777).toBe(0o755);
    expect([...readFileSync(join(out, "a/b/c.ko"))]).toEqual([0, 1, 2, 255]);
  });
});

describe("kernels", () => {
  const lib = "lib/modules";
  file("boot/vmlinuz-6.1.0-9-amd64", "");
  file("boot/vmlinuz-6.1.0-56-amd64", "");
  file("boot/vmlinuz-6.12.0-1-amd64", "");
  for (const release of ["6.1.0-9-amd64", "6.1.0-56-amd64"])
    file(
      `${lib}/${release}/modules.dep`,
      "kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz\nkernel/net/9p/9pnet.ko.xz:\nkernel/net/br-x.ko:\n",
    );
  file(`${lib}/6.1.0-56-amd64/modules.builtin`, "kernel/fs/overlayfs/overlay.ko\n");

  test("the newest with modules first; a kernel without them is none", () => {
    const found = kernels(join(home, "boot"), join(home, lib));
    expect(found.map((each) => each.release)).toEqual(["6.1.0-56-amd64", "6.1.0-9-amd64"]);
  });

  test("modules in an order in which they load; built in needs no file; absent is named", () => {
    const [newest, older] = kernels(join(home, "boot"), join(home, lib));
    expect(newest && moduleClosure(newest, ["9p", "br_x", "overlay", "virtio_rng"])).toEqual({
      paths: [
        "kernel/fs/netfs/netfs.ko.xz",
        "kernel/net/9p/9pnet.ko.xz",
        "kernel/fs/9p/9p.ko.xz",
        "kernel/net/br-x.ko",
      ],
      missing: [],
    });
    expect(older && moduleClosure(older, ["9p", "overlay"]).missing).toEqual(["overlay"]);
  });
});
