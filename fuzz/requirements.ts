/** What fuzzing needs of the machine. */
import { execFileSync } from "node:child_process";

const TOOLS = [
  "python3",
  "ip",
  "bridge",
  "nft",
  "iptables-nft-restore",
  "iptables-legacy-restore",
  "ip6tables-legacy-restore",
  "ipset",
  "ss",
  "tc",
];

/** Why the kernel's side cannot run here; null when it can. */
export function cannotRun(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  if (process.getuid?.() !== 0) return "needs root (network namespaces)";
  for (const tool of TOOLS) {
    try {
      execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    } catch {
      return `needs ${tool}`;
    }
  }
  try {
    execFileSync("unshare", ["-n", "true"], { stdio: "ignore" });
  } catch {
    return "may not make network namespaces";
  }
  return null;
}
