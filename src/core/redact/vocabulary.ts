/**
 * Words that a snapshot's programs speak in. A name that is one of them says nothing of whose cluster it is, and cannot be told from the word:
 * it stays.
 */

const PROGRAMS = `kubernetes kubelet kube-proxy kube-dns kube-system kube-public kube-node-lease default coredns kube-apiserver
kube-controller-manager kube-scheduler etcd konnectivity-agent metrics-server kube-flannel kube-flannel-ds flannel flanneld calico calico-node
calico-system calico-apiserver calico-typha calico-kube-controllers tigera-operator cilium cilium-operator cilium-envoy hubble-relay hubble-ui
metallb metallb-system controller speaker kube-router antrea weave multus whereabouts nmstate keepalived haproxy bird bird6 felix typha
containerd docker crio cri-o runc systemd dnsmasq node-local-dns nodelocaldns ingress-nginx istio-system fabric outside
kubernetes-services-endpoint default-ipv4-ippool default-ipv6-ippool k8s-pod-network cni-config kube-proxy-config kube-root-ca.crt`;

const FORMATS = `accept drop reject return jump goto queue continue tcp udp icmp icmpv6 sctp ip ip6 inet arp bridge netdev filter nat mangle raw
security prerouting input forward output postrouting ingress egress hook type priority policy table chain rule set map element elements flags
timeout comment counter packets bytes handle meta mark ct state status new established related invalid untracked dnat snat masquerade redirect
random fully fully-random persistent numgen mod vmap verdict saddr daddr sport dport iif oif iifname oifname lo eth eth0 eth1 ens3 ens5 bond
bond0 br0 cni0 cni1 docker0 tunl0 vxlan.calico flannel.1 flannel-v6.1 kube-ipvs0 kube-bridge dummy0 veth vxlan ipip gre vlan macvlan ipvlan
dummy tun tap vrf bond0 team wireguard all any none yes no true false on off auto null always never enabled disabled enable disable statistic
mode nth probability multiport limit recent conntrack addrtype physdev comment src dst local broadcast multicast unicast anycast blackhole
unreachable prohibit throw main unspec kernel boot static dhcp ra link host global site scope proto metric dev via onlink weight nexthop hash
create add family hashsize maxelem bucketsize initval net port iface range list bitmap http https dns dns-tcp metrics health healthz api web-ui
grpc ssh ntp node nodes pod pods service services endpoint endpoints namespace namespaces label labels name names key value values app k8s-app
component tier role control-plane master worker linux windows amd64 arm64 name namespace cluster cluster.local svc in-addr.arpa ip6.arpa
localhost localdomain search nameserver options ndots conf config configuration data spec items metadata kind version v1 v1beta1 apps policy
etc var run lib opt usr bin sbin tmp proc sys dev net.d cni bin portmap bandwidth tuning loopback host-local firewall ptp ipam routes gateway
subnet ranges rangestart rangeend mtu isgateway isdefaultgateway ipmasq hairpinmode promiscmode capabilities plugins snat externalsetmarkchain
file files command commands exit stderr seconds root user admin client-go system masters read write verbs hostname address addresses internal
external allow deny ready running pending succeeded failed unknown apiserver provider a b c d e f g h i j k l m n o p q r s t u v w x y z`;

const WORDS: ReadonlySet<string> = new Set([...PROGRAMS.split(/\s+/), ...FORMATS.split(/\s+/)]);

/** Namespaces that every cluster has, or that a well-known program makes for itself. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set([
  "default",
  "kube-system",
  "kube-public",
  "kube-node-lease",
  "kube-flannel",
  "calico-system",
  "calico-apiserver",
  "tigera-operator",
  "cilium",
  "metallb-system",
  "nmstate",
  "ingress-nginx",
  "istio-system",
]);

/** Whether the word stays although something is named so. Numbers and single letters stay. */
export const isVocabulary = (word: string): boolean => WORDS.has(word) || /^[\d.]*$|^v\d+$|^.$/.test(word);

/** Whether the namespace is one of the system's. */
export const isSystemNamespace = (name: string): boolean => SYSTEM_NAMESPACES.has(name);
