/** Which mode kube-proxy runs in, as far as Felix looks at it. */
import { parse } from "yaml";
import type { Machine } from "../site.ts";

/** `iptables`, `nftables`, `ipvs` …; null when kube-proxy's configuration was not recorded or says nothing. */
export function parseProxyMode(machine: Machine): string | null {
  const words = machine.command("kube-proxy")?.words ?? [];
  const flag = words.find((word) => word.startsWith("--proxy-mode="));
  if (flag !== undefined) return flag.slice("--proxy-mode=".length);
  const file = machine.file("kube-proxy.yaml");
  if (file === null) return null;
  try {
    const config: unknown = parse(file.text);
    const mode = typeof config === "object" && config !== null && "mode" in config ? config.mode : null;
    return typeof mode === "string" && mode !== "" ? mode : null;
  } catch {
    return null;
  }
}
