/** Takes out of a cluster's object what a snapshot must not hold: secrets, and what people or machines can be traced by. */
import type { ClusterObject } from "./objects.ts";

/** What stands for a value that was removed, as on nodes. */
export const REMOVED = "REMOVED";

/** Names of fields whose text is a secret; those that name where one is kept are none. */
const SECRET = /passw(?:or)?d|passphrase|secret|token|credential|private-?key|api-?key|access-?key|auth-?key|psk/i;
const REFERENCE =
  /(?:name|ref|file|path|mode|type|provider|namespace|policy|dir|url|ttl|webhook|period|interval|duration|audiences?|lookup|issuer)$/i;

/** Variables that configure networks: `NAME` of a container's environment. The values of all others go. */
const KEPT_VARIABLES =
  /^(?:FELIX_|CALICO_|FLANNELD_|IP6?$|IP6?_|NODE_?NAME$|NO_DEFAULT_POOLS$|CLUSTER_TYPE$|USE_POD_CIDR$|DATASTORE_TYPE$|FIREWALL_MODE$|K8S_NODE_NAME$|METALLB_|vip_|cp_|svc_|lb_|bgp_)/;

/** Annotations that repeat the object as it was applied, secrets included. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Numbers that are a machine's for life. */
const TRACES = new Set(["machineID", "systemUUID", "bootID"]);
const NO_TRACE = "00000000-0000-0000-0000-000000000000";

const isSecretName = (name: string): boolean => SECRET.test(name) && !REFERENCE.test(name);

/** Words of a command without secrets. Calls `removed` for each that goes. */
export function cleanWords(words: readonly unknown[], removed: () => void): unknown[] {
  let next = false;
  return words.map((word) => {
    if (typeof word !== "string") return word;
    const after = next && !word.startsWith("-");
    next = false;
    if (after) {
      removed();
      return REMOVED;
    }
    const [, name, value] = /^([\w.-]+)=(.*)$/s.exec(word) ?? [undefined, word, undefined];
    if (word.startsWith("/") || !isSecretName(name!)) return cleanText(word, removed);
    if (value !== undefined) {
      removed();
      return `${name}=${REMOVED}`;
    }
    // A whole script as an argument may hold anything.
    if (/\s/.test(word)) {
      removed();
      return REMOVED;
    }
    next = word.startsWith("-");
    return word;
  });
}

/** Text without logins in addresses and without tokens that show what they are (RFC 7519: three parts in base64url). */
function cleanText(text: string, removed: () => void): string {
  if (!text.includes("://") && !text.includes("eyJ") && !text.includes("PRIVATE KEY")) return text;
  return text
    .replaceAll(/:\/\/[^\s/:@"]+:[^\s/@"]+@/g, () => (removed(), `://${REMOVED}@`))
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, () => (removed(), REMOVED))
    .replaceAll(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      () => (removed(), REMOVED),
    );
}

function cleanVariable(variable: unknown, removed: () => void): unknown {
  if (typeof variable !== "object" || variable === null) return variable;
  const { name, value, ...rest } = variable as Record<string, unknown>;
  if (typeof value !== "string") return variable;
  if (typeof name === "string" && KEPT_VARIABLES.test(name) && !isSecretName(name))
    return { name, value: cleanText(value, removed), ...rest };
  if (value === "") return variable;
  removed();
  return { name, value: REMOVED, ...rest };
}

function cleanValue(key: string, value: unknown, removed: () => void): unknown {
  if (typeof value === "string") {
    if (TRACES.has(key)) return NO_TRACE;
    if (value !== "" && isSecretName(key)) {
      removed();
      return REMOVED;
    }
    return cleanText(value, removed);
  }
  if (Array.isArray(value)) {
    if (key === "env") return value.map((each) => cleanVariable(each, removed));
    if (key === "args" || key === "command") return cleanWords(value, removed);
    return value.map((each) => cleanValue(key, each, removed));
  }
  if (typeof value !== "object" || value === null) return value;
  return cleanFields(value as Record<string, unknown>, removed);
}

function cleanFields(object: Record<string, unknown>, removed: () => void): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object)) {
    if (key === "managedFields" || key === LAST_APPLIED) continue;
    out[key] = cleanValue(key, value, removed);
  }
  return out;
}

/** The object without secrets. Calls `removed` for every value that was replaced. What the API server keeps beside it goes silently. */
export function cleanObject(object: ClusterObject, removed: () => void): ClusterObject {
  return cleanFields(object, removed);
}
