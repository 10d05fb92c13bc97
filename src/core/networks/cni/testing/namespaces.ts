/** For tests that need root: network namespaces of their own, and programs in them. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { randomBytes } from "node:crypto";

/** Runs a program and gives what it prints. Throws with what it says when it fails. */
export function run(
  program: string,
  args: readonly string[],
  input?: string,
  env: Record<string, string> = {},
): string {
  try {
    return execFileSync(program, args, {
      encoding: "utf8",
      input,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: 20_000,
      maxBuffer: 1 << 26,
    });
  } catch (error) {
    const { stderr, stdout, status, code } = error as {
      stderr?: string;
      stdout?: string;
      status?: number;
      code?: string;
    };
    // A program that had what it needed may end before it has read its input.
    if (code === "EPIPE" && status === 0) return stdout ?? "";
    throw new Error(`${program} ${args.join(" ")}: ${stderr ?? ""}${stdout ?? ""}`, { cause: error });
  }
}

/** Why tests that need root, namespaces and these programs cannot run here; null when they can. */
export function whyNot(programs: readonly string[]): string | null {
  if (process.getuid?.() !== 0) return "needs root";
  for (const program of programs) {
    const places = program.startsWith("/")
      ? [program]
      : ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map((d) => `${d}/${program}`);
    if (!places.some((path) => existsSync(path))) return `needs ${program}`;
  }
  const name = `kwtest-${randomBytes(4).toString("hex")}`;
  try {
    run("ip", ["netns", "add", name]);
    run("ip", ["netns", "del", name]);
    return null;
  } catch {
    return "needs network namespaces";
  }
}

/** Makes as many namespaces as are asked for, hands over their names, and removes them whatever happens. */
export async function withNamespaces<T>(count: number, work: (names: string[]) => T | Promise<T>): Promise<T> {
  const names: string[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const name = `kwtest-${randomBytes(4).toString("hex")}`;
      run("ip", ["netns", "add", name]);
      names.push(name);
    }
    return await work(names);
  } finally {
    for (const name of names) run("ip", ["netns", "del", name]);
  }
}

/** Runs a program in a namespace. */
export function inside(
  name: string,
  program: string,
  args: readonly string[],
  input?: string,
  env?: Record<string, string>,
): string {
  return run("ip", ["netns", "exec", name, program, ...args], input, env);
}
