/** A rendering in one of its forms. */
import type { Claim } from "../claim.ts";
import { ipCommands } from "./ip-commands.ts";
import { nothingMade, type Made } from "./link-commands.ts";
import { nftFileText } from "./nft-file.ts";
import type { RenderedFile, RenderedMachine, RenderedNote, Rendering } from "./renderer.ts";
import { ipsetRestoreText, nfacctCommands, xtRestoreText } from "./xt-restore.ts";

/** `all`: every form that has something to say. `config`: files of daemons; `bird`: BIRD's alone. */
export type RenderFormat = "all" | "ip" | "iptables" | "nft" | "bird" | "config" | "json";

/** What `-o json` prints: kubewalk.render/v1. */
export interface RenderDocument {
  format: "kubewalk.render/v1";
  network: string;
  /** Null: the objects', else the network's first. */
  mode: string | null;
  machines: RenderedMachine[];
  claims: Claim[];
  files: RenderedFile[];
  notes: RenderedNote[];
}

interface Part {
  title: string;
  text: string;
}

const section = (title: string, text: string): Part[] => (text === "" ? [] : [{ title, text }]);

const linesText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

function kernelParts(at: string, claims: readonly Claim[], format: RenderFormat, made: Made): Part[] {
  const wants = (form: RenderFormat): boolean => format === "all" || format === form;
  return [
    ...(wants("ip") ? section(`${at}: ip, bridge, sysctl`, linesText(ipCommands(claims, made))) : []),
    ...(wants("iptables")
      ? [
          ...section(`${at}: nfacct`, linesText(nfacctCommands(claims))),
          ...section(`${at}: ipset restore`, ipsetRestoreText(claims)),
          ...section(`${at}: iptables-restore --noflush`, xtRestoreText(claims, "ip")),
          ...section(`${at}: ip6tables-restore --noflush`, xtRestoreText(claims, "ip6")),
        ]
      : []),
    ...(wants("nft") ? section(`${at}: nft -f`, nftFileText(claims)) : []),
  ];
}

/** Claims by place: machines in their order, of each its root namespace first, in which the pods' devices are made. */
function byPlace(claims: readonly Claim[]): [place: string, claims: Claim[]][] {
  const machines = new Map<string, Map<string, Claim[]>>();
  for (const claim of claims) {
    const [machine = ""] = claim.at.split("/", 1);
    const places = machines.get(machine) ?? new Map<string, Claim[]>();
    machines.set(machine, places);
    const list = places.get(claim.at);
    if (list === undefined) places.set(claim.at, [claim]);
    else list.push(claim);
  }
  const isHost = ([place]: [string, unknown]): boolean => place.endsWith("/host");
  return [...machines.values()].flatMap((places) =>
    [...places].toSorted((x, y) => Number(isHost(y)) - Number(isHost(x))),
  );
}

/** Only what these machines have. */
export function onMachines(rendering: Rendering, machines: readonly string[]): Rendering {
  const wanted = ({ at }: { at: string }): boolean => machines.includes(at.split("/", 1)[0] ?? "");
  return {
    ...rendering,
    claims: rendering.claims.filter(wanted),
    files: rendering.files.filter(wanted),
    notes: rendering.notes.filter(wanted),
    machines: rendering.machines.filter(({ name }) => machines.includes(name)),
  };
}

/** The rendering as text for people and for the programs that its titles name; empty when it has nothing of that form. */
export function renderText(rendering: Rendering, format: Exclude<RenderFormat, "json">): string {
  const made = nothingMade(rendering.beneath);
  const parts = byPlace(rendering.claims).flatMap(([at, list]) => kernelParts(at, list, format, made));
  for (const { at, path, text } of rendering.files) {
    const isBird = /bird[^/]*\.(?:conf|cfg)$/.test(path);
    if (format === "all" || format === "config" || (format === "bird" && isBird))
      parts.push({ title: `${at}: ${path}`, text });
  }
  if (format === "all")
    for (const { at, title, lines } of rendering.notes)
      parts.push({ title: `${at}: ${title}`, text: linesText(lines) });
  return parts.map(({ title, text }) => `# ${title}\n${text.endsWith("\n") ? text : `${text}\n`}`).join("\n");
}

/** The rendering as a document of kubewalk.render/v1. */
export function renderDocument(rendering: Rendering, network: string, mode: string | null): RenderDocument {
  const { machines, claims, files, notes } = rendering;
  return { format: "kubewalk.render/v1", network, mode, machines, claims, files, notes };
}
