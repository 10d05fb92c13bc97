/** What of the cluster's objects never reaches a snapshot. */
import { expect, test } from "vitest";
import { cleanObject, cleanWords } from "./clean-object.ts";

const SECRET = "hunter2";

test("secrets in a pod go, what configures networks stays", () => {
  let removed = 0;
  const pod = {
    metadata: {
      name: "calico-node",
      managedFields: [{ x: SECRET }],
      annotations: {
        "kubectl.kubernetes.io/last-applied-configuration": SECRET,
        "cni.projectcalico.org/podIP": "10.0.0.1",
      },
    },
    spec: {
      serviceAccountToken: SECRET,
      automountServiceAccountToken: false,
      volumes: [{ secret: { secretName: "tls" } }],
      containers: [
        {
          args: [
            "--token",
            SECRET,
            "--password=" + SECRET,
            "--token-file=/etc/token",
            "--listen",
            ":80",
            `https://me:${SECRET}@host/`,
          ],
          command: ["sh", "-c", `login --password ${SECRET}`],
          env: [
            { name: "FELIX_IPINIPMTU", value: "1440" },
            { name: "FELIX_ETCDPASSWORD", value: SECRET },
            { name: "DB", value: SECRET },
            { name: "EMPTY", value: "" },
            { name: "NODENAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
          ],
        },
      ],
    },
  };
  const clean = cleanObject(pod, () => removed++);
  expect(JSON.stringify(clean)).not.toContain(SECRET);
  expect(removed).toBe(7);
  expect(clean).toEqual({
    metadata: { name: "calico-node", annotations: { "cni.projectcalico.org/podIP": "10.0.0.1" } },
    spec: {
      serviceAccountToken: "REMOVED",
      automountServiceAccountToken: false,
      volumes: [{ secret: { secretName: "tls" } }],
      containers: [
        {
          args: [
            "--token",
            "REMOVED",
            "--password=REMOVED",
            "--token-file=/etc/token",
            "--listen",
            ":80",
            "https://REMOVED@host/",
          ],
          command: ["sh", "-c", "REMOVED"],
          env: [
            { name: "FELIX_IPINIPMTU", value: "1440" },
            { name: "FELIX_ETCDPASSWORD", value: "REMOVED" },
            { name: "DB", value: "REMOVED" },
            { name: "EMPTY", value: "" },
            { name: "NODENAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
          ],
        },
      ],
    },
  });
});

test("a BGP peer's password goes, where it is kept stays", () => {
  const peer = { spec: { peerAddress: "10.0.0.1", password: SECRET, passwordSecret: { name: "bgp" } } };
  expect(cleanObject(peer, () => undefined)).toEqual({
    spec: { peerAddress: "10.0.0.1", password: "REMOVED", passwordSecret: { name: "bgp" } },
  });
});

test("the machine's own numbers become zeros", () => {
  const node = { status: { nodeInfo: { machineID: "abc", kernelVersion: "6.1" } } };
  expect(cleanObject(node, () => undefined)).toEqual({
    status: { nodeInfo: { machineID: "00000000-0000-0000-0000-000000000000", kernelVersion: "6.1" } },
  });
});

test("a flag that is followed by another has no value to remove", () => {
  expect(cleanWords(["--token", "--verbose"], () => undefined)).toEqual(["--token", "--verbose"]);
});
