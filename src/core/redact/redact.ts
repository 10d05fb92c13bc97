/**
 * A snapshot that can be shown to strangers: names and public addresses are replaced, the same by the same everywhere, and what is left walks
 * as before. No I/O: file texts in, file texts out.
 */
import { ParseError } from "../model/source.ts";
import { addressMapOf, type AddressMap } from "./addresses.ts";
import { AddressText, publicAddresses } from "./addresses-in-text.ts";
import { isObject, namesOfMachines, namesOfNamespace, namesOfObjects, namesOfResolver } from "./collect-names.ts";
import {
  addDevices,
  addEndpoints,
  addNamespace,
  addNode,
  addPod,
  addServicePort,
  deviceWildcards,
  keepsBeginning,
  nftNames,
  sortedDispatch,
} from "./derived.ts";
import { Names } from "./names.ts";
import { strippedList } from "./objects.ts";
import { isVocabulary } from "./vocabulary.ts";
import { WordText } from "./words-in-text.ts";

/** Files by their paths in the snapshot; `read` gives undefined for those that are not text. */
export interface RedactFiles {
  paths(): Iterable<string>;
  read(path: string): string | undefined;
}

/** What was replaced by what. Whoever has it can undo the redaction, so it is for the snapshot's owner alone. */
export interface RedactMap {
  format: "kubewalk.redact-map/v1";
  /** What the replacement of addresses follows from. */
  secret: string;
  names: Record<string, string>;
  addresses: Record<string, string>;
}

export interface Redacted {
  /** Files in the order of their old paths; each text is made when it is asked for. */
  files: { from: string; path: string; text: () => string }[];
  /** To be asked when all texts have been made: then it is complete. */
  map(): RedactMap;
  /** What is not as it was, although it should be: ranges of addresses that are none any more. */
  notes: string[];
}

/** Files of the kernel's own words: names stand only where programs made them. */
const KERNEL =
  /\/(?:addr|route[46]|rule[46]|neigh|neigh-proxy|fdb|bridge-link|vlan|nexthop|tc|link-stats)\.json$|\/(?:sysctl|conntrack6?|ipvs|stats|conntrack-stats|xt_recent)\.txt$/;

/** What iptables-save printed. */
const SAVE = /\/ip6?tables(?:-legacy)?-save\.txt$/;

/** Names that someone gave in the kernel's listings: of namespaces, and of devices beside their own. */
const GIVEN = /("(?:link_netns|netns|netns_name|ifalias|alias)":\s*")([^"]*)(")/g;
/** A device's own name. */
const DEVICE = /"ifname":\s*"([^"]+)"/g;
/** The control group of a socket, a path of the node's. */
const CGROUP = /\bcgroup:\S+/g;

function json(text: string, path: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ParseError({ file: path, line: 1 }, "is no JSON: what is in it cannot be redacted");
  }
}

class Redaction {
  private readonly names: Names;
  private readonly addresses = new Set<string>();
  private readonly pods = new Map<string, [string, string]>();
  private readonly servicePorts = new Set<string>();
  private readonly saves: string[] = [];
  private readonly devices = new Set<string>();

  constructor(
    private readonly files: RedactFiles,
    known: RedactMap | null,
  ) {
    this.names = new Names(known?.names);
  }

  private collectFrom(path: string, text: string): void {
    publicAddresses(text, this.addresses);
    const resource = /^cluster\/([^/]+)\.json$/.exec(path)?.[1];
    if (resource !== undefined) {
      const list = json(text, path) as Parameters<typeof namesOfObjects>[1];
      namesOfObjects(resource, list, this.names);
      if (isObject(list) && Array.isArray(list["items"])) this.derive(resource, list["items"]);
    } else if (path === "snapshot.json" || path === "fabric.json") {
      namesOfMachines(json(text, path) as Parameters<typeof namesOfMachines>[0], this.names);
    } else if (path.endsWith("/netns.json")) {
      const document = json(text, path) as Parameters<typeof namesOfNamespace>[0];
      namesOfNamespace(document, this.names);
      const pod = isObject(document) ? document["pod"] : null;
      if (isObject(pod)) this.pod(pod["namespace"], pod["name"]);
    } else if (path.endsWith("/resolv.conf")) namesOfResolver(text, this.names);
    if (path.endsWith("/addr.json")) for (const [, device] of text.matchAll(DEVICE)) this.devices.add(device!);
    if (SAVE.test(path)) this.saves.push(path);
    const node = /^nodes\/([^/]+)\//.exec(path)?.[1];
    if (node !== undefined) this.names.add("node", node);
  }

  private pod(namespace: unknown, name: unknown): void {
    if (typeof namespace === "string" && typeof name === "string")
      this.pods.set(`${namespace}/${name}`, [namespace, name]);
  }

  /** What names are derived from. */
  private derive(resource: string, items: readonly unknown[]): void {
    for (const item of items) {
      const meta = isObject(item) && isObject(item["metadata"]) ? item["metadata"] : {};
      if (resource === "pods") this.pod(meta["namespace"], meta["name"]);
      const spec = isObject(item) && isObject(item["spec"]) ? item["spec"] : {};
      const ports = Array.isArray(spec["ports"]) ? spec["ports"] : [];
      if (resource !== "services") continue;
      for (const port of ports) {
        const name = isObject(port) && typeof port["name"] === "string" ? port["name"] : "";
        this.servicePorts.add(`${String(meta["namespace"])}/${String(meta["name"])}${name === "" ? "" : `:${name}`}`);
      }
    }
  }

  run(secret: string): Redacted {
    const paths = [...this.files.paths()];
    for (const path of paths) {
      const text = this.files.read(path);
      if (text !== undefined) this.collectFrom(path, text);
    }
    const wildcards = new Set<string>();
    for (const path of this.saves) deviceWildcards(this.files.read(path) ?? "", wildcards);
    const namespaces = new Map<string, string[]>();
    for (const [namespace, name] of this.pods.values())
      namespaces.set(name, [...(namespaces.get(name) ?? []), namespace]);
    const words = this.names.finish((name, by, given) =>
      (namespaces.get(name) ?? []).every((namespace) =>
        keepsBeginning(wildcards, [namespace, name], [given.get(namespace) ?? namespace, by]),
      ),
    );
    const notes: string[] = [];
    const map = addressMapOf([...this.addresses], secret);
    const addresses = new AddressText(map, (range) => {
      const note = `the range ${range} holds public addresses and is no prefix: what it matches is not kept`;
      if (!notes.includes(note)) notes.push(note);
    });
    const exact = new Map<string, string>();
    const nodes = this.names.of("node");
    const text = new WordText(words, exact, nodes, this.names.of("domain"));
    addDevices(exact, this.devices, (device) => text.text(device));
    const plain = (word: string): string => words.get(word) ?? word;
    for (const node of nodes) addNode(exact, node, plain(node));
    for (const namespace of this.names.of("ns")) addNamespace(exact, namespace, plain(namespace));
    for (const [namespace, name] of this.pods.values())
      addPod(exact, [namespace, name], [plain(namespace), plain(name)]);
    for (const port of this.servicePorts) addServicePort(exact, port, text.text(port));
    for (const path of this.saves)
      addEndpoints(
        exact,
        this.files.read(path) ?? "",
        (each) => text.text(each),
        (each) => addresses.text(each),
      );
    const file = new FileRedactor(text, addresses);
    return {
      files: paths.map((path) => ({
        from: path,
        path: file.path(path),
        text: () => file.text(path, this.files.read(path) ?? ""),
      })),
      map: () => mapOf(secret, words, map),
      notes,
    };
  }
}

function mapOf(secret: string, words: ReadonlyMap<string, string>, addresses: AddressMap): RedactMap {
  return {
    format: "kubewalk.redact-map/v1",
    secret,
    names: Object.fromEntries(words),
    addresses: Object.fromEntries(addresses.replaced()),
  };
}

/** Rewrites one file after another, each as its kind asks. */
class FileRedactor {
  constructor(
    private readonly words: WordText,
    private readonly addresses: AddressText,
  ) {}

  path(path: string): string {
    // Names of the snapshot's own files are the format's words.
    const parts = path.split("/");
    if (parts[0] !== "nodes" || parts.length < 3) return path;
    const kept = parts[2] === "files" || parts[2] === "programs" || parts[2] === "bpf" ? 3 : parts.length;
    return parts.map((part, i) => (i === 1 ? this.words.word(part) : i < kept ? part : this.all(part))).join("/");
  }

  private all(text: string): string {
    return this.addresses.text(
      this.words.text(
        nftNames(
          this.words.derived(text),
          (name) => (isVocabulary(name) ? name : this.words.word(name)),
          (address) => this.addresses.one(address),
        ),
      ),
    );
  }

  text(path: string, text: string): string {
    if (/^cluster\/[^/]+\.json$/.test(path)) {
      const list = strippedList(json(text, path) as Parameters<typeof strippedList>[0]);
      return `${this.all(JSON.stringify(list, null, 1))}\n`;
    }
    if (KERNEL.test(path)) {
      const given = text.replaceAll(
        GIVEN,
        (_, head: string, name: string, tail: string) => head + this.all(name) + tail,
      );
      return this.addresses.text(this.words.derived(given));
    }
    if (path.endsWith("/sockets.txt"))
      return this.addresses.text(this.words.derived(text.replaceAll(CGROUP, (group) => this.words.text(group))));
    return SAVE.test(path) ? sortedDispatch(this.all(text)) : this.all(text);
  }
}

/**
 * Redacts a snapshot. `secret` decides which addresses take the place of which: who has it can find them out, so it must be long, random and
 * kept. With `known`, the map of another redaction, names that were there get the same replacements, and its secret is used.
 * Throws ParseError for a JSON file that is none.
 */
export function redact(files: RedactFiles, secret: string, known: RedactMap | null = null): Redacted {
  return new Redaction(files, known).run(known?.secret ?? secret);
}
