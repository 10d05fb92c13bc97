/** Which Services are kube-proxy's. */
import type { Service } from "../model/cluster.ts";

/** Labels of what kube-proxy leaves to others (k8s.io/api: LabelServiceProxyName, IsHeadlessService). */
const LEFT_TO_OTHERS = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];

/** Whether kube-proxy serves this Service's addresses, if it has any. */
export const isKubeProxys = (service: Service): boolean =>
  !LEFT_TO_OTHERS.some((label) => Object.hasOwn(service.labels, label));
