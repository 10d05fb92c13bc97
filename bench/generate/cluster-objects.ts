/** The objects of a made cluster, as `kubectl get RESOURCE -A -o json` prints them. */
import { UPLINK } from "./cluster-host.ts";
import { API_PORT, type ClusterPlan, type PlannedNode, type PlannedPod } from "./cluster-plan.ts";
import { CLUSTER_CIDR, SERVICE_CIDR, type KubeService } from "./kube-proxy-iptables.ts";

const MADE_AT = "2026-11-20T21:53:27Z";
const IMAGE = "registry.example/app:1";

/** Objects of one name get the same uid each time. */
function meta(name: string, namespace: string | null, more: object = {}): object {
  const where = namespace === null ? {} : { namespace };
  return { creationTimestamp: MADE_AT, name, ...where, resourceVersion: "100", ...more };
}

const condition = (type: string): object => ({
  lastProbeTime: null,
  lastTransitionTime: MADE_AT,
  status: "True",
  type,
});

function nodeObject(node: PlannedNode): object {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: meta(node.name, null, {
      annotations: {
        "flannel.alpha.coreos.com/backend-data": JSON.stringify({ VNI: 1, VtepMAC: node.vtepMac }),
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "flannel.alpha.coreos.com/public-ip": node.ip,
      },
      labels: { "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux" },
    }),
    spec: { podCIDR: node.block, podCIDRs: [node.block] },
    status: {
      addresses: [
        { address: node.ip, type: "InternalIP" },
        { address: node.name, type: "Hostname" },
      ],
      capacity: { cpu: "8", memory: "32684092Ki", pods: "110" },
      conditions: [{ ...condition("Ready"), reason: "KubeletReady" }],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      nodeInfo: {
        architecture: "amd64",
        containerRuntimeVersion: "containerd://1.6.20",
        kernelVersion: "6.18.44",
        kubeletVersion: "v1.34.4",
        operatingSystem: "linux",
      },
    },
  };
}

const labelsOf = (service: KubeService | null): Record<string, string> =>
  service === null ? { app: "batch" } : service.name === "kube-dns" ? { "k8s-app": "kube-dns" } : { app: service.name };

/** Names of the ports that a pod of this Service has. */
function containerPorts(plan: ClusterPlan, service: KubeService | null): object[] {
  if (service === null) return [];
  return plan.services
    .filter((each) => each.name === service.name && each.namespace === service.namespace)
    .map((each) => ({
      containerPort: each.endpoints[0]?.port ?? 0,
      name: each.portName,
      protocol: each.protocol.toUpperCase(),
    }));
}

function podObject(node: PlannedNode, pod: PlannedPod, ports: readonly object[]): object {
  const owner = pod.name.slice(0, pod.name.lastIndexOf("-"));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(pod.name, pod.namespace, {
      generateName: `${owner}-`,
      labels: { ...labelsOf(pod.service), "pod-template-hash": owner.slice(owner.lastIndexOf("-") + 1) },
      ownerReferences: [
        { apiVersion: "apps/v1", blockOwnerDeletion: true, controller: true, kind: "ReplicaSet", name: owner },
      ],
    }),
    spec: {
      containers: [
        {
          image: IMAGE,
          imagePullPolicy: "IfNotPresent",
          name: "main",
          ports,
          resources: {},
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      nodeName: node.name,
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      tolerations: ["not-ready", "unreachable"].map((key) => ({
        effect: "NoExecute",
        key: `node.kubernetes.io/${key}`,
        operator: "Exists",
        tolerationSeconds: 300,
      })),
    },
    status: {
      conditions: ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(
        condition,
      ),
      containerStatuses: [
        {
          containerID: `containerd://${pod.sandbox}`,
          image: IMAGE,
          lastState: {},
          name: "main",
          ready: true,
          restartCount: 0,
          started: true,
          state: { running: { startedAt: MADE_AT } },
        },
      ],
      hostIP: node.ip,
      hostIPs: [{ ip: node.ip }],
      phase: "Running",
      podIP: pod.ip,
      podIPs: [{ ip: pod.ip }],
      qosClass: "BestEffort",
      startTime: MADE_AT,
    },
  };
}

/** Ports of one Service object together. */
function byName(services: readonly KubeService[]): KubeService[][] {
  const found = new Map<string, KubeService[]>();
  for (const service of services) {
    const key = `${service.namespace}/${service.name}`;
    found.set(key, [...(found.get(key) ?? []), service]);
  }
  return [...found.values()];
}

function serviceObject(ports: readonly KubeService[]): object {
  const [first] = ports;
  if (first === undefined) return {};
  const selector = first.name === "kubernetes" ? {} : { selector: labelsOf(first) };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(first.name, first.namespace),
    spec: {
      clusterIP: first.clusterIP,
      clusterIPs: [first.clusterIP],
      internalTrafficPolicy: "Cluster",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: ports.map((each) => ({
        name: each.portName,
        port: each.port,
        protocol: each.protocol.toUpperCase(),
        targetPort: first.name === "kubernetes" ? API_PORT : each.portName,
      })),
      ...selector,
      sessionAffinity: "None",
      type: "ClusterIP",
    },
    status: { loadBalancer: {} },
  };
}

function sliceObject(ports: readonly KubeService[], plan: ClusterPlan, podAt: ReadonlyMap<string, PlannedPod>): object {
  const [first] = ports;
  if (first === undefined) return {};
  const own = first.name === "kubernetes";
  return {
    addressType: "IPv4",
    apiVersion: "discovery.k8s.io/v1",
    endpoints: first.endpoints.map(({ ip, node }) => {
      const pod = podAt.get(ip);
      const target = pod && { kind: "Pod", name: pod.name, namespace: pod.namespace };
      return own
        ? { addresses: [ip], conditions: { ready: true } }
        : {
            addresses: [ip],
            conditions: { ready: true, serving: true, terminating: false },
            nodeName: plan.nodes[node]?.name,
            targetRef: target,
          };
    }),
    kind: "EndpointSlice",
    metadata: meta(own ? first.name : `${first.name}-5xk2p`, first.namespace, {
      labels: {
        ...(own ? {} : { "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" }),
        "kubernetes.io/service-name": first.name,
      },
    }),
    ports: ports.map((each) => ({
      name: each.portName,
      port: each.endpoints[0]?.port,
      protocol: each.protocol.toUpperCase(),
    })),
  };
}

/** Deployments, one for each Service with pods. */
function deploymentObject(service: KubeService, ports: readonly object[]): object {
  const labels = labelsOf(service);
  const count = service.endpoints.length;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(service.name === "kube-dns" ? "coredns" : service.name, service.namespace, { labels }),
    spec: {
      replicas: count,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ image: IMAGE, name: "main", ports }] } },
    },
    status: { availableReplicas: count, readyReplicas: count, replicas: count },
  };
}

/** How flannel was configured. */
function flannelConfig(): object {
  const conf = { Network: CLUSTER_CIDR, Backend: { Type: "vxlan" } };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: meta("kube-flannel-cfg", "kube-flannel"),
    data: { "net-conf.json": JSON.stringify(conf) },
  };
}

/** Text of each of the cluster's files by its name, `pods.json`; made when it is asked for. */
export function clusterFiles(plan: ClusterPlan): Map<string, () => string> {
  const services = byName(plan.services);
  const podAt = new Map(plan.nodes.flatMap((node) => node.pods.map((pod) => [pod.ip, pod] as const)));
  const portsOf = new Map(plan.services.map((service) => [service, containerPorts(plan, service)]));
  const namespaces = new Set([
    "default",
    "kube-system",
    "kube-flannel",
    ...plan.services.map((each) => each.namespace),
  ]);
  const resources: Record<string, () => object[]> = {
    configmaps: () => [flannelConfig()],
    "daemonsets.apps": () => [],
    "deployments.apps": () =>
      services
        .filter(([first]) => first?.name !== "kubernetes")
        .flatMap(([first]) => (first === undefined ? [] : [deploymentObject(first, portsOf.get(first) ?? [])])),
    "endpointslices.discovery.k8s.io": () => services.map((ports) => sliceObject(ports, plan, podAt)),
    "ingresses.networking.k8s.io": () => [],
    namespaces: () =>
      [...namespaces].map((name) => ({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: meta(name, null, { labels: { "kubernetes.io/metadata.name": name } }),
        status: { phase: "Active" },
      })),
    "networkpolicies.networking.k8s.io": () => [],
    nodes: () => plan.nodes.map(nodeObject),
    pods: () =>
      plan.nodes.flatMap((node) =>
        node.pods.map((pod) => podObject(node, pod, pod.service === null ? [] : (portsOf.get(pod.service) ?? []))),
      ),
    "servicecidrs.networking.k8s.io": () => [
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "ServiceCIDR",
        metadata: meta("kubernetes", null),
        spec: { cidrs: [SERVICE_CIDR] },
      },
    ],
    services: () => services.map(serviceObject),
  };
  const list = (items: object[]): string =>
    `${JSON.stringify({ apiVersion: "v1", items, kind: "List", metadata: { resourceVersion: "" } }, null, 1)}\n`;
  return new Map(Object.entries(resources).map(([name, items]) => [`${name}.json`, () => list(items())]));
}

/** fabric.json: every node's uplink on one segment. */
export function fabricJson(plan: ClusterPlan): string {
  const attached = plan.nodes.map((node) => [node.name, UPLINK]);
  const fabric = { format: "kubewalk.fabric/v1", segments: [{ name: "br0", attached }], routers: [], external: [] };
  return `${JSON.stringify(fabric, null, 1)}\n`;
}

/** snapshot.json. */
export function snapshotJson(plan: ClusterPlan): string {
  const snapshot = {
    format: "kubewalk.snapshot/v1",
    takenAt: "2026-11-20T21:55:35Z",
    nodes: plan.nodes.map((node) => node.name),
    kubernetes: "v1.34.4",
    network: "flannel-vxlan",
    proxy: "iptables",
  };
  return `${JSON.stringify(snapshot, null, 1)}\n`;
}
