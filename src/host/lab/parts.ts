/** What daemons and faults are given, and what they are: the registries are `daemons/index.ts` and `faults/index.ts`. */
import type { Claim } from "../../core/networks/claim.ts";
import type { RenderedFile } from "../../core/networks/render/renderer.ts";
import type { WrittenObject } from "../../core/networks/render/objects.ts";
import type { DaemonSpec, Scenario } from "./scenario.ts";

/** What a program answered. */
export interface Ran {
  /** Exit status; negative: the signal that ended it. */
  status: number;
  out: string;
  err: string;
}

/** A program to run in a namespace of the lab. */
export interface Job {
  /** `n1/host`, `n1/pod/shop/web-1`, `tor1/host`. */
  at: string;
  argv: readonly string[];
  /** Its standard input. */
  input?: string;
  /** Added to the environment. */
  env?: Record<string, string>;
}

/** What a lab has, by place. */
export interface LabPlace {
  /** `n1/host`, `n1/pod/shop/web-1`, `n1/netns/web`. */
  place: string;
  machine: string;
  /** Name under /run/netns of the host: `kwl-LAB-…`. */
  netns: string;
  /** Path of the namespace within the lab, for programs that take one (CNI_NETNS): /run/netns/NETNS. */
  path: string;
  pod: { namespace: string; name: string } | null;
}

/** What was computed for a lab: objects, kernel state, files. */
export interface Intended {
  /** All objects, with what the control plane and the networks' own controllers would have written. */
  objects: readonly WrittenObject[];
  claims: readonly Claim[];
  /** Files of daemons, as the networks render them: BIRD, FRR, keepalived, HAProxy, resolv.conf. */
  files: readonly RenderedFile[];
}

/** A lab that stands. Paths are those that the lab's own programs see: /run is a folder of the lab. */
export interface Lab {
  name: string;
  scenario: Scenario;
  intended: Intended;
  places: readonly LabPlace[];
  /** Names of all machines: nodes, routers, `fabric`, `outside`. */
  machines: readonly string[];
  /** Runs a program and waits; rejects only when the lab is gone. A status other than 0 is the caller's to judge. */
  run(job: Job): Promise<Ran>;
  /** Runs programs, several at a time, answers in order. */
  runAll(jobs: readonly Job[]): Promise<Ran[]>;
  /** As runAll; rejects with LabError naming the first program that failed, and what it said. */
  must(jobs: readonly Job[]): Promise<Ran[]>;
  /**
   * Starts a program that stays until `stop` or the lab's end. `name` is unique in the lab, `bird@n1`. Its output goes to a log of the lab.
   * It must stay in the foreground (`bird -f`, `keepalived -n`). Resolves to its process id as the lab's programs see it.
   */
  start(name: string, job: Job): Promise<number>;
  /** Ends what `start` began, and waits for it. False when there is no such. */
  stop(name: string): Promise<boolean>;
  /** Names of the programs that run now, with their process ids as the lab's programs see them. */
  running(): Promise<ReadonlyMap<string, number>>;
  /** What a started program has printed so far. */
  logOf(name: string): Promise<string>;
  /** Folder of a machine's own files within the lab, made when it is not there: /run/lab/MACHINE. */
  folderOf(machine: string): string;
  /** Writes a file within the lab, with the folders above it. Absolute paths below /run only. */
  write(path: string, text: string, mode?: number): Promise<void>;
  read(path: string): Promise<string>;
  /** Lets the lab's own servers answer on more ports; what they tell is what pods' servers tell. */
  serve(servers: readonly { at: string; proto: "tcp" | "udp"; port: number; address?: string }[]): Promise<void>;
  /** Closes the lab's own server on a port, for a daemon that is to have it. */
  release(at: string, port: number): Promise<void>;
  /** Writes a setting, `net.ipv4.ip_forward`; several at once. Rejects with LabError for one that the kernel refuses. */
  sysctl(settings: readonly { at: string; key: string; value: string }[]): Promise<void>;
  /** Remembers that a file of a machine is part of its state: `lab snapshot` writes it to nodes/MACHINE/files/ABSOLUTE. */
  record(machine: string, absolute: string, pathInLab: string): void;
  /** Notes for the faults that stand: what `mendIt` needs to put things back. Kept with the lab's state. */
  notes: Map<string, unknown>;
}

/** Something that cannot be done: told to people as it stands. */
export class LabError extends Error {
  override readonly name = "LabError";
}

/** A real daemon that labs can run. */
export interface LabDaemon {
  /** As scenarios name it: bird, keepalived, haproxy, dnsmasq, cni. */
  name: string;
  summary: string;
  /** Programs that it needs, with the Debian package of each. */
  programs: readonly { program: string; package: string }[];
  /**
   * Claims that the daemon itself will make true, so that they are not applied before it (a BIRD brings its routes). None when absent.
   * Called before anything is made.
   */
  brings?(claim: Claim, spec: DaemonSpec, scenario: Scenario): boolean;
  /** Starts it after the kernel state stands; resolves when it works (sessions are up, the address is held). Rejects with LabError. */
  start(lab: Lab, spec: DaemonSpec): Promise<void>;
}

/** A fault that `lab break` makes and `lab mend` takes back. */
export interface LabFault {
  /** Id of a finding in docs/doctor.md. */
  id: string;
  summary: string;
  /** Why it cannot be had in this lab; null when it can. */
  missing?(lab: Lab): string | null;
  /** Options are those of the scenario or of `lab break FAULT key=value`. Rejects with LabError. */
  breakIt(lab: Lab, options: Record<string, unknown>): Promise<void>;
  mendIt(lab: Lab, options: Record<string, unknown>): Promise<void>;
}
