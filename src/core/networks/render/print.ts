/** A rendering in one of its forms. */
import type { Claim } from "../claim.ts";
import { ipCommands } from "./ip-commands.ts";
import { nftFileText } from "./nft-file.ts";
import type { Rendering } from "./renderer.ts";
import { ipsetRestoreText, xtRestoreText } from "./xt-restore.ts";

/** `all`: every form that has something to say. `config`: files of daemons; `bird`: BIRD's alone. */
export type RenderFormat = "all" | "ip" | "iptables" | "nft" | "bird" | "config" | "json";

interface Part {
  title: string;
  text: string;
}

const section = (title: string, text: string): Part[] => (text === "" ? [] : [{ title, text }]);

function kernelParts(at: string, claims: readonly Claim[], format: RenderFormat, made: Set<string>): Part[] {
  const wants = (form: RenderFormat): boolean => format === "all" || format === form;
  return [
    ...(wants("ip")
      ? section(
          `${at}: ip, bridge, sysctl`,
          ipCommands(claims, made)
            .map((line) => `${line}\n`)
            .join(""),
        )
      : []),
    ...(wants("iptables")
      ? [
          ...section(`${at}: ipset restore`, ipsetRestoreText(claims)),
          ...section(`${at}: iptables-restore --noflush`, xtRestoreText(claims, "ip")),
          ...section(`${at}: ip6tables-restore --noflush`, xtRestoreText(claims, "ip6")),
        ]
      : []),
    ...(wants("nft") ? section(`${at}: nft -f`, nftFileText(claims)) : []),
  ];
}

/** The rendering as text; `nodes`: only these machines, all when not given. */
export function renderText(rendering: Rendering, format: RenderFormat, nodes?: readonly string[]): string {
  const wanted = (at: string): boolean => nodes === undefined || nodes.includes(at.split("/", 1)[0] ?? "");
  const claims = rendering.claims.filter((claim) => wanted(claim.at));
  const files = rendering.files.filter((file) => wanted(file.at));
  if (format === "json") return `${JSON.stringify({ format: "kubewalk.render/v1", claims, files }, null, 2)}\n`;
  const byPlace = new Map<string, Claim[]>();
  for (const claim of claims) {
    const list = byPlace.get(claim.at);
    if (list === undefined) byPlace.set(claim.at, [claim]);
    else list.push(claim);
  }
  const made = new Set<string>();
  const parts = [...byPlace].flatMap(([at, list]) => kernelParts(at, list, format, made));
  for (const { at, path, text } of files) {
    const isBird = /bird[^/]*\.(?:conf|cfg)$/.test(path);
    if (format === "all" || format === "config" || (format === "bird" && isBird))
      parts.push({ title: `${at}: ${path}`, text });
  }
  return parts.map(({ title, text }) => `# ${title}\n${text.endsWith("\n") ? text : `${text}\n`}`).join("\n");
}
