/** The command as it is installed: bundled, started through bin/kubewalk, with real streams and signals. */
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";

let home = "";
let command = "";
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "kubewalk-command-"));
  mkdirSync(join(home, "bin"));
  cpSync("bin/kubewalk", join(home, "bin/kubewalk"));
  await bundleCommand(join(home, "dist"));
  command = join(home, "bin/kubewalk");
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const start = (path: string, ...args: string[]): SpawnSyncReturns<string> =>
  spawnSync(path, args, { encoding: "utf8" });

describe("bin/kubewalk", () => {
  test("works through a chain of symbolic links, from any folder", () => {
    const links = join(home, "links");
    mkdirSync(links);
    symlinkSync("../bin/kubewalk", join(links, "relative"));
    symlinkSync(join(links, "relative"), join(links, "absolute"));
    for (const path of [command, join(links, "relative"), join(links, "absolute")]) {
      const ran = spawnSync(path, ["--version"], { encoding: "utf8", cwd: "/" });
      expect({ status: ran.status, stderr: ran.stderr, out: /^\d+\.\d+\.\d+\n$/.test(ran.stdout) }).toEqual({
        status: 0,
        stderr: "",
        out: true,
      });
    }
  });

  test("says what to do when it is not built", () => {
    const bare = join(home, "bare");
    mkdirSync(join(bare, "bin"), { recursive: true });
    cpSync("bin/kubewalk", join(bare, "bin/kubewalk"));
    const ran = start(join(bare, "bin/kubewalk"), "--help");
    expect(ran).toMatchObject({
      status: 3,
      stdout: "",
      stderr: "error: kubewalk is not built: run npm install && npm run build\n",
    });
  });

  test("starts fast: help costs little more than an empty program", () => {
    // Processor time as the program itself counts it, because the machine may be busy with other things.
    const report =
      "process.on('exit',()=>process.stderr.write(String(process.cpuUsage().user+process.cpuUsage().system)))";
    const microseconds = (...args: string[]): number => {
      const all = Array.from({ length: 4 }, () => {
        const ran = start(process.execPath, "--import", `data:text/javascript,${report}`, ...args);
        expect(ran.status).toBe(0);
        return Number(ran.stderr);
      });
      return Math.min(...all);
    };
    const help = microseconds(join(home, "dist/kubewalk.mjs"), "--help");
    expect(help - microseconds("-e", "0")).toBeLessThan(150_000);
  });

  test("usage errors end with 2 and say nothing on stdout", () => {
    expect(start(command, "walk", "/nowhere", "n1", "n2")).toMatchObject({
      status: 2,
      stdout: "",
      stderr: "error: /nowhere: there is no such file or folder\n",
    });
  });
});

const recordings = "../shared/fixtures";
const names = existsSync(recordings)
  ? readdirSync(recordings, { withFileTypes: true })
      .filter((e) => e.isDirectory())
      .map((e) => e.name)
  : [];

describe.skipIf(names.length === 0)(`with a recording of ${recordings} (skipped when absent)`, () => {
  const snapshot = join(recordings, names[0] ?? "", "snapshot");
  const question = `${JSON.stringify({ from: "n1/host", proto: "tcp", to: "127.0.0.1", port: 9 })}\n`;

  test("a batch answers each question as it comes, while more may follow", async () => {
    const child = spawn(command, ["walk", snapshot, "--batch", "-"], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdout.setEncoding("utf8");
    const lines: string[] = [];
    let rest = "";
    let wake = (): void => undefined;
    child.stdout.on("data", (chunk: string) => {
      rest += chunk;
      const parts = rest.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      wake();
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    for (let i = 1; i <= 3; i++) {
      child.stdin.write(question);
      while (lines.length < i) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      expect(JSON.parse(lines[i - 1]!)).toMatchObject({ format: "kubewalk.walk/v1", from: "n1/host", to: "127.0.0.1" });
    }
    child.stdin.end();
    expect(await ended).toBe(0);
  });

  test("a reader that goes away ends it quietly", () => {
    const many = question.repeat(3000);
    const ran = spawnSync("sh", ["-c", `"$0" walk "$1" --batch - | head -n 1`, command, snapshot], {
      encoding: "utf8",
      input: many,
    });
    expect({ lines: ran.stdout.split("\n").length, stderr: ran.stderr }).toEqual({ lines: 2, stderr: "" });
  });

  test("an interrupt ends it with 130", async () => {
    const child = spawn(command, ["walk", snapshot, "--batch", "-"], { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.stdin.write(question);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
  });

  test("shows a snapshot and a place", () => {
    expect(start(command, "show", snapshot)).toMatchObject({ status: 0 });
    const place = start(command, "show", snapshot, "n1/host");
    expect({ status: place.status, begins: place.stdout.startsWith("n1/host\n") }).toEqual({ status: 0, begins: true });
    expect(JSON.parse(start(command, "show", snapshot, "-o", "json").stdout)).toMatchObject({
      format: "kubewalk.show/v1",
    });
  });
});
