/** A recorded haproxy.cfg, read into its frontends and their servers (HAProxy configuration manual, section 4). */
import { ParseError, type Source } from "../../model/source.ts";
import type { MachineFile } from "../site.ts";

export interface Bind {
  /** "" for every address; "localhost" and names as they stand. */
  host: string;
  port: number;
  /** With `v4v6` a `::` takes IPv4, too. */
  v4v6: boolean;
  source: Source;
}

export interface HaproxyServer {
  name: string;
  host: string;
  port: number;
  check: boolean;
  /** Kept for times when no other server works. */
  backup: boolean;
  disabled: boolean;
  source: Source;
}

export interface HaproxySection {
  kind: "frontend" | "backend" | "listen";
  name: string;
  mode: string;
  binds: Bind[];
  /** `default_backend`. */
  backend: string | null;
  balance: string;
  servers: HaproxyServer[];
  source: Source;
}

export interface HaproxyConf {
  sections: HaproxySection[];
  problems: ParseError[];
}

const SECTIONS = ["frontend", "backend", "listen"] as const;
/** Sections that say nothing of where connections go. */
const OTHERS = new Set([
  "global",
  "defaults",
  "userlist",
  "peers",
  "mailers",
  "resolvers",
  "cache",
  "program",
  "ring",
  "http-errors",
  "fcgi-app",
  "log-forward",
  "crt-store",
  "traces",
]);

/** Words of a line; `#` begins a comment, quotes and backslashes hold blanks. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'#\\])+|#/g)) {
    if (word === "#") break;
    words.push(word.replaceAll(/["']/g, "").replaceAll(/\\(.)/g, "$1"));
  }
  return words;
}

/** `:::9445`, `*:80`, `[::1]:80`, `10.0.0.1:80` split at the last colon; null when there is no port. */
function hostPort(text: string): { host: string; port: number } | null {
  const at = text.lastIndexOf(":");
  const port = Number(text.slice(at + 1));
  if (at < 0 || !/^\d+$/.test(text.slice(at + 1)) || port < 1 || port > 65535) return null;
  const host = text
    .slice(0, at)
    .replace(/^(ipv4@|ipv6@)/, "")
    .replace(/^\[(.*)\]$/, "$1");
  return { host: host === "*" ? "" : host, port };
}

/** Reads a machine's haproxy.cfg; what HAProxy would not take is a problem with its line. Never throws. */
export function readHaproxy(file: MachineFile): HaproxyConf {
  const sections: HaproxySection[] = [];
  const problems: ParseError[] = [];
  let defaults = "tcp";
  let inDefaults = false;
  let section: HaproxySection | null = null;
  for (const [index, line] of file.text.split("\n").entries()) {
    const [word, ...rest] = wordsOf(line);
    const source: Source = { file: file.source.file, line: index + 1 };
    const problem = (text: string): void => void problems.push(new ParseError(source, text));
    if (word === undefined) continue;
    const kind = SECTIONS.find((each) => each === word);
    if (kind !== undefined) {
      if (rest[0] === undefined) problem(`this ${kind} has no name`);
      section = {
        kind,
        name: rest[0] ?? "",
        mode: defaults,
        binds: [],
        backend: null,
        balance: "roundrobin",
        servers: [],
        source,
      };
      sections.push(section);
      inDefaults = false;
    } else if (OTHERS.has(word) && !line.startsWith(" ") && !line.startsWith("\t")) {
      section = null;
      inDefaults = word === "defaults";
    } else if (section === null) {
      if (inDefaults && word === "mode") defaults = rest[0] ?? defaults;
    } else if (word === "mode") section.mode = rest[0] ?? section.mode;
    else if (word === "balance") section.balance = rest[0] ?? section.balance;
    else if (word === "default_backend") section.backend = rest[0] ?? null;
    else if (word === "bind")
      for (const each of (rest[0] ?? "").split(",")) {
        // A socket of the file system is reached by nobody outside.
        if (/^(\/|unix@|abns@|fd@)/.test(each)) continue;
        const parsed = hostPort(each);
        if (parsed === null) problem(`"${each}" is no address and port to listen on`);
        else section.binds.push({ ...parsed, v4v6: rest.includes("v4v6"), source });
      }
    else if (word === "server") {
      const parsed = hostPort(rest[1] ?? "");
      if (rest[0] === undefined || parsed === null) problem(`server ${rest[0] ?? ""} has no address and port`);
      else
        section.servers.push({
          name: rest[0],
          ...parsed,
          check: rest.includes("check"),
          backup: rest.includes("backup"),
          disabled: rest.includes("disabled"),
          source,
        });
    }
  }
  for (const each of sections)
    if (each.backend !== null && !sections.some((other) => other.kind !== "frontend" && other.name === each.backend))
      problems.push(
        new ParseError(each.source, `${each.kind} ${each.name} sends to ${each.backend}, which is no backend`),
      );
  return { sections, problems };
}

/** The servers behind a frontend or listen section; empty when its backend is missing. */
export function serversBehind(conf: HaproxyConf, section: HaproxySection): HaproxyServer[] {
  if (section.kind === "listen" && section.servers.length > 0) return section.servers;
  const backend = conf.sections.find((each) => each.kind !== "frontend" && each.name === section.backend);
  return backend?.servers ?? [];
}
