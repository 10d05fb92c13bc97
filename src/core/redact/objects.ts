/** What of the cluster's objects is left out: what can hold anything, and no network reads. */
import { isObject, type JsonObject } from "./collect-names.ts";
import { isSystemNamespace } from "./vocabulary.ts";

type Json = JsonObject[string];

/** Annotations that networks read or write; all others are left out. */
const ANNOTATIONS =
  /(?:^|\.)(?:projectcalico\.org|coreos\.com|cilium\.io|kube-router\.io|cncf\.io|metallb\.io|universe\.tf|nmstate\.io|antrea\.io|ovn\.org)\/|^(?:service|endpoints|node|topology|networking|ingress)(?:\.[a-z.]+)?\.kubernetes\.io\/|^io\.cilium/;

/** Of every container outside the system's namespaces, this stays. */
const OF_CONTAINER: ReadonlySet<string> = new Set([
  "name",
  "ports",
  "restartPolicy",
  "ready",
  "started",
  "restartCount",
  "containerID",
]);

/** Left out of pods and of templates of pods outside the system's namespaces. */
const OF_POD: ReadonlySet<string> = new Set([
  "volumes",
  "imagePullSecrets",
  "securityContext",
  "schedulingGates",
  "resourceClaims",
  "overhead",
]);

/** Left out of every object: who wrote which field, and what names a machine or an account elsewhere. */
const NOWHERE: ReadonlySet<string> = new Set([
  "managedFields",
  "selfLink",
  "images",
  "providerID",
  "machineID",
  "systemUUID",
  "bootID",
  "caBundle",
]);

const CONTAINERS = /^(?:init|ephemeral)?containers?(?:Statuses)?$/i;

function container(value: Json): Json {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => OF_CONTAINER.has(key)));
}

function stripped(value: Json, system: boolean): Json {
  if (Array.isArray(value)) return value.map((each) => stripped(each, system));
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, each] of Object.entries(value)) {
    if (NOWHERE.has(key) || (!system && OF_POD.has(key))) continue;
    if (key === "annotations" && isObject(each))
      out[key] = Object.fromEntries(Object.entries(each).filter(([name]) => ANNOTATIONS.test(name)));
    else if (!system && CONTAINERS.test(key) && Array.isArray(each)) out[key] = each.map(container);
    else out[key] = stripped(each, system);
  }
  return out;
}

/** An object of the cluster's API without what is left out. */
export function strippedObject(object: Json): Json {
  const meta = isObject(object) && isObject(object["metadata"]) ? object["metadata"] : {};
  const namespace = meta["namespace"];
  return stripped(object, typeof namespace === "string" ? isSystemNamespace(namespace) : true);
}

/** A list of them, as `kubectl get -o json` prints it. */
export function strippedList(list: Json): Json {
  if (!isObject(list) || !Array.isArray(list["items"])) return list;
  return { ...list, items: list["items"].map(strippedObject) };
}
