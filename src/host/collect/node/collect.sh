#!/bin/sh
# kubewalk collect: prints what one Linux node's own commands say of its network, as a tar archive, to standard output.
#
# Run as root, on the node:            sh collect.sh >n1.tar
# through ssh:                         ssh root@n1 sh -s <collect.sh >n1.tar
# in a privileged pod with hostPID:    kubectl exec -i POD -- sh -s <collect.sh >n1.tar
#
# It only reads. It writes no file anywhere, not even a temporary one, and loads no kernel module. Secrets are replaced by the
# word REMOVED here, before anything leaves the node; collect.json in the archive lists where. It needs sh, awk and tr; every other
# tool is asked when it is there, and commands.json in the archive says how each ended.
#
#   KUBEWALK_LIMIT   seconds that one command may take (default 20)
#   KUBEWALK_ONCE    not empty: what changes meanwhile is not looked for
#   KUBEWALK_PODS    only network namespaces of these pods (NAMESPACE/NAME, separated by spaces), the node's own, and such as are nobody's
#   KUBEWALK_NAME    the node's name in the cluster, when it is neither the host name nor kubelet's --hostname-override

LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:/var/lib/rancher/k3s/data/current/bin:/var/lib/rancher/k3s/data/current/bin/aux:/var/lib/rancher/rke2/bin:/opt/bin
export LC_ALL PATH
unset NFT_DEBUG IPSET_DEBUG LIBXTABLES_DEBUG 2>/dev/null

limit=${KUBEWALK_LIMIT:-20}
case $limit in '' | *[!0-9]*) limit=20 ;; esac
root='' host='' stop='' hung=' '

have() { command -v "$1" >/dev/null 2>&1; }

# What a link says.
link_of() {
  readlink "$1" 2>/dev/null && return
  entry=$(ls -l "$1" 2>/dev/null)
  printf '%s\n' "${entry##* -> }"
}

# The file of a program as the node has it, in $found; the name alone where there is none. By name, a shell or tool that is busybox would
# take its own parts for the node's.
where() {
  fields=$IFS found=$1
  IFS=:
  for folder in $PATH; do
    if [ -f "$root$folder/$1" ] || [ -L "$root$folder/$1" ]; then
      found=$folder/$1
      break
    fi
  done
  IFS=$fields
  [ "$found" != "$1" ]
}

# Programs that are looked for once.
remember() {
  where ip; at_ip=$found
  where bridge; at_bridge=$found
  where iptables-save; at_iptables_save=$found
  where ip6tables-save; at_ip6tables_save=$found
  where iptables-legacy-save; at_iptables_legacy_save=$found
  where ip6tables-legacy-save; at_ip6tables_legacy_save=$found
  where nft; at_nft=$found
  where ipset; at_ipset=$found
  where ipvsadm; at_ipvsadm=$found
  where conntrack; at_conntrack=$found
  where ss; at_ss=$found
  where sysctl; at_sysctl=$found
  where tc; at_tc=$found
  where nstat; at_nstat=$found
  where grep; at_grep=$found
  where sed; at_sed=$found
  where sh; at_sh=$found
  where nsenter; at_nsenter=$found
}

# In $found.
place_of() {
  case $1 in
    ip) found=$at_ip ;;
    bridge) found=$at_bridge ;;
    iptables-save) found=$at_iptables_save ;;
    ip6tables-save) found=$at_ip6tables_save ;;
    iptables-legacy-save) found=$at_iptables_legacy_save ;;
    ip6tables-legacy-save) found=$at_ip6tables_legacy_save ;;
    nft) found=$at_nft ;;
    ipset) found=$at_ipset ;;
    ipvsadm) found=$at_ipvsadm ;;
    conntrack) found=$at_conntrack ;;
    ss) found=$at_ss ;;
    sysctl) found=$at_sysctl ;;
    tc) found=$at_tc ;;
    nstat) found=$at_nstat ;;
    grep) found=$at_grep ;;
    sed) found=$at_sed ;;
    sh) found=$at_sh ;;
    nsenter) found=$at_nsenter ;;
    *) found=$1 ;;
  esac
}

# Whether the kernel has MODULE without being made to load it. Without modules everything that there is, is built in.
loaded() {
  [ -s /proc/modules ] || return 0
  while read -r name _; do [ "$name" != "$1" ] || return 0; done </proc/modules
  [ ! -e "/sys/module/$1" ] || return 0
  read -r release </proc/sys/kernel/osrelease
  builtin=$root/lib/modules/$release/modules.builtin
  [ -r "$builtin" ] || return 1
  while read -r name; do
    name=${name##*/}
    [ "${name%.ko}" != "$1" ] || return 0
  done <"$builtin"
  return 1
}

# ---- what goes to the archiver: lines, and between them lines that begin with $mark

# said KIND FILE: from standard input, as it is but for secrets
said() {
  printf '%sB %s %s\n' "$mark" "$1" "$2"
  cat
  printf '\n%sX\n' "$mark"
}

fact() { printf '%sH %s %s\n' "$mark" "$1" "$2"; }

changed() { printf '%sD %s\n' "$mark" "$1"; }

# ask KIND FILE NETNS COMMAND…: what the command prints in that network namespace (a path; "" for the present one)
ask() {
  kind=$1 file=$2 netns=$3
  shift 3
  said="$*" tool=$1
  place_of "$tool"
  shift
  set -- "$found" "$@"
  printf '%sB %s %s\n' "$mark" "$kind" "$file"
  read -r began _ </proc/uptime
  case $hung in
    *" $tool "*)
      printf '\n%sE null %s %s %s\n%s did not end within %s s before, and was not asked again\n%s.\n' "$mark" "$began" "$began" "$said" "$tool" "$limit" "$mark"
      return
      ;;
  esac
  case $netns in
    '') if [ "$host" = nsenter ]; then set -- -m/proc/1/ns/mnt "$@"; fi ;;
    *)
      if [ "$host" = nsenter ]; then
        set -- -m/proc/1/ns/mnt "-n$netns" "$@"
      elif [ "$host" = chroot ]; then
        set -- "$at_nsenter" "-n${netns#"$root"}" "$@"
      elif [ "$enter" = none ]; then
        set -- "$at_ip" netns exec "${netns##*/}" "$@"
      else
        set -- "-n$netns" "$@"
      fi
      ;;
  esac
  # shellcheck disable=SC2086 # words of a command
  case $1 in -*) set -- $enter "$@" ;; esac
  # shellcheck disable=SC2086 # words of a command
  if [ "$host" = chroot ]; then set -- $change_root /proc/1/root "$@"; fi
  # shellcheck disable=SC2086 # words of a command
  { complaint=$($stop "$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
  status=$?
  read -r ended _ </proc/uptime
  if [ "$status" -eq 137 ] && [ $((${ended%.*} - ${began%.*})) -ge $((limit - 1)) ]; then
    status=null
    hung="$hung$tool "
    complaint="did not end within $limit s"
  fi
  printf '\n%sE %s %s %s %s\n%s\n%s.\n' "$mark" "$status" "$began" "$ended" "$said" "$complaint" "$mark"
}

# not_asked FILE STATUS COMMAND WHY
not_asked() {
  read -r began _ </proc/uptime
  printf '%sB o %s\n\n%sE %s %s %s %s\n%s\n%s.\n' "$mark" "$1" "$mark" "$2" "$began" "$began" "$3" "$4" "$mark"
}

# ---- network namespaces

# rules PLACE NETNS: nftables, iptables of both kinds, and what they refer to
rules() {
  if [ "$nft_there" = yes ]; then
    ask rules "$1/iptables-save.txt" "$2" iptables-save -c
    ask rules "$1/ip6tables-save.txt" "$2" ip6tables-save -c
    ask json "$1/nft.json" "$2" nft -j -a list ruleset
    ask rules "$1/nft.txt" "$2" nft -a list ruleset
  else
    why='Protocol not supported: not asked, since the kernel has not loaded nf_tables and asking would load it'
    not_asked "$1/nft.json" 1 'nft -j -a list ruleset' "$why"
    not_asked "$1/nft.txt" 1 'nft -a list ruleset' "$why"
    if [ "$iptables_kind" = legacy ]; then
      ask rules "$1/iptables-save.txt" "$2" iptables-save -c
      ask rules "$1/ip6tables-save.txt" "$2" ip6tables-save -c
    else
      not_asked "$1/iptables-save.txt" 1 'iptables-save -c' "$why"
      not_asked "$1/ip6tables-save.txt" 1 'ip6tables-save -c' "$why"
    fi
  fi
  ask rules "$1/iptables-legacy-save.txt" "$2" iptables-legacy-save -c
  ask rules "$1/ip6tables-legacy-save.txt" "$2" ip6tables-legacy-save -c
  if [ "$ipset_there" = yes ]; then ask rules "$1/ipset.txt" "$2" ipset save; fi
  if [ "$ipvs_there" = yes ]; then ask out "$1/ipvs.txt" "$2" ipvsadm -S -n; fi
}

# again FILE NETNS COMMAND…: a second read, compared with the first
again() {
  printf '%sC\n' "$mark"
  ask rules "$@"
}

# rules_again PLACE NETNS: what changed while the rest was asked
rules_again() {
  if [ "$nft_there" = yes ]; then again "$1/nft.txt" "$2" nft -a list ruleset; fi
  if [ "$iptables_kind" = legacy ]; then
    again "$1/iptables-save.txt" "$2" iptables-save -c
  elif [ "$nft_there" != yes ] || ! have_there nft; then
    again "$1/iptables-save.txt" "$2" iptables-save -c
  fi
  again "$1/route4.json" "$2" ip -j -d -4 route show table all
}

# conntrack_of PLACE NETNS
conntrack_of() {
  if [ "$conntrack_there" = yes ] && have_there conntrack; then
    ask out "$1/conntrack.txt" "$2" conntrack -L -o extended
    ask out "$1/conntrack6.txt" "$2" conntrack -L -f ipv6 -o extended
    ask out "$1/conntrack-stats.txt" "$2" conntrack -S
  elif [ -r /proc/net/nf_conntrack ]; then
    ask out "$1/conntrack.txt" "$2" sed -n /^ipv4/p /proc/net/nf_conntrack
    ask out "$1/conntrack6.txt" "$2" sed -n /^ipv6/p /proc/net/nf_conntrack
  elif have_there conntrack; then
    why='not asked, since the kernel has not loaded nf_conntrack_netlink and asking would load it'
    not_asked "$1/conntrack.txt" null 'conntrack -L -o extended' "$why"
    not_asked "$1/conntrack6.txt" null 'conntrack -L -f ipv6 -o extended' "$why"
  else
    ask out "$1/conntrack.txt" "$2" conntrack -L -o extended
    ask out "$1/conntrack6.txt" "$2" conntrack -L -f ipv6 -o extended
  fi
}

# namespace PLACE NETNS
namespace() {
  ask out "$1/addr.json" "$2" ip -j -d addr
  ask out "$1/route4.json" "$2" ip -j -d -4 route show table all
  ask out "$1/route6.json" "$2" ip -j -d -6 route show table all
  ask out "$1/rule4.json" "$2" ip -j -4 rule
  ask out "$1/rule6.json" "$2" ip -j -6 rule
  ask out "$1/neigh.json" "$2" ip -j neigh show nud all
  ask out "$1/neigh-proxy.json" "$2" ip -j neigh show proxy
  ask out "$1/fdb.json" "$2" bridge -j -d fdb
  ask out "$1/bridge-link.json" "$2" bridge -j -d link
  ask out "$1/vlan.json" "$2" bridge -j -d vlan
  ask out "$1/nexthop.json" "$2" ip -j nexthop
  ask out "$1/nsid.json" "$2" ip -j netns list-id
  rules "$1" "$2"
  conntrack_of "$1" "$2"
  ask out "$1/sockets.txt" "$2" ss -H -O -lntuwe
  if [ "$sysctl_kind" = procps ]; then
    ask out "$1/sysctl.txt" "$2" sysctl -a -r ^net
  else
    ask sysctl "$1/sysctl.txt" "$2" grep -rs '' /proc/sys/net
  fi
  ask out "$1/tc.json" "$2" tc -j qdisc show
  ask out "$1/stats.txt" "$2" nstat -az
  ask out "$1/link-stats.json" "$2" ip -j -s link
  # shellcheck disable=SC2016 # for the inner shell
  if [ -d /proc/1/net/xt_recent ]; then
    ask out "$1/xt_recent.txt" "$2" sh -c 'for f in /proc/net/xt_recent/*; do [ ! -e "$f" ] || { echo "== ${f##*/}"; cat "$f"; }; done'
  fi
}

# Every namespace, a line each: INODE PATH, where there is a path; INODE /proc/PID/ns/net, where there is a process. Paths are those of mounts
# that the node's first process sees; one that another mount hides leads elsewhere, or nowhere, and does not count.
namespaces() {
  mounted=' '
  while read -r _ _ _ inside place _; do
    case $inside in net:\[*\]) ;; *) continue ;; esac
    inside=${inside#net:[}
    mounted="$mounted${inside%]}:$root$place "
  done </proc/1/mountinfo
  set --
  for each in $mounted; do set -- "$@" "${each#*:}"; done
  # shellcheck disable=SC2012 # inodes, of paths that mounts have
  [ $# -eq 0 ] || ls -Lid "$@" 2>/dev/null | while read -r inode place; do
    case $mounted in *" $inode:$place "*) printf '%s %s\n' "$inode" "${place#"$root"}" ;; esac
  done
  if ! have ls; then
    for each in /proc/[0-9]*; do
      inside=$(readlink "$each/ns/net" 2>/dev/null) || continue
      inside=${inside#net:[}
      printf '%s %s/ns/net\n' "${inside%]}" "$each"
    done
    return
  fi
  # shellcheck disable=SC2012 # of one known form, and a process each would take seconds
  ls -l /proc/[0-9]*/ns/net 2>/dev/null | while read -r entry; do
    case $entry in */proc/*' -> net:['*) ;; *) continue ;; esac
    pid=${entry#*/proc/}
    inside=${entry##*net:[}
    printf '%s /proc/%s/ns/net\n' "${inside%]}" "${pid%%/*}"
  done
}

# The inodes alone, as a word list.
inodes() {
  namespaces | awk '{ print $1 }' | sort -nu | tr '\n' ' '
}

# container_of PID: the id of its container and the uid of its pod, from its control group; in $container and $uid
container_of() {
  container='' uid=''
  [ -r "/proc/$1/cgroup" ] || return 1
  while read -r group; do
    case $group in *pod[0-9a-f]*)
      uid=${group##*[/-]pod}
      uid=${uid%%[./]*}
      case $uid in *_*) uid=$(printf %s "$uid" | tr _ -) ;; esac
      ;;
    esac
    last=${group##*/}
    last=${last%.scope}
    last=${last##*[-:]}
    case $last in *[!0-9a-f]* | '') continue ;; esac
    if [ ${#last} -eq 64 ]; then container=$last; fi
  done <"/proc/$1/cgroup"
  [ -n "$container" ]
}

# pod_of PID: namespace, name and uid of its pod, from what its runtime or kubelet wrote; in $pod_namespace, $pod and $uid
pod_of() {
  pod_namespace='' pod=''
  container_of "$1"
  if [ -n "$container" ]; then
    for config in "$root"/run/containerd/io.containerd.runtime.v2.task/k8s.io/"$container"/config.json \
      "$root"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/"$container"/config.json \
      "$root"/run/containers/storage/overlay-containers/"$container"/userdata/config.json \
      "$root"/var/lib/docker/containers/"$container"/config.v2.json; do
      [ -r "$config" ] || continue
      # shellcheck disable=SC2046 # names of Kubernetes have no spaces
      set -- $(awk '
        function value(name,   text) {
          if (!match($0, "\"io[.]kubernetes[.]" name "\":\"[^\"]*\"")) return "-"
          text = substr($0, RSTART, RLENGTH - 1)
          sub(/.*"/, "", text)
          return text == "" ? "-" : text
        }
        { print value("(cri[.]sandbox-namespace|pod[.]namespace)"), value("(cri[.]sandbox-name|pod[.]name)"), value("(cri[.]sandbox-uid|pod[.]uid)") }' "$config")
      case ${1:--}${2:--} in *-) continue ;; esac
      pod_namespace=$1 pod=$2
      [ "${3:--}" = - ] || uid=$3
      return 0
    done
  fi
  if [ -n "$uid" ]; then
    for log in "$root"/var/log/pods/*_*_"$uid"; do
      [ -d "$log" ] || continue
      log=${log##*/}
      pod_namespace=${log%%_*}
      pod=${log#*_}
      pod=${pod%%_*}
      return 0
    done
  fi
  return 1
}

claimed=' '

# describe INODE PATH PIDS: netns.json
describe() {
  pid='' owner='' found_containers='' owner_uid=''
  for each in $3; do
    pid=${pid:-$each}
    if pod_of "$each"; then
      pid=$each owner_uid=$uid
      case $claimed in *" $pod_namespace/$pod "*) ;; *)
        claimed="$claimed$pod_namespace/$pod "
        owner="{\"namespace\":\"$pod_namespace\",\"name\":\"$pod\"}"
        ;;
      esac
      found_containers="$found_containers,\"$container\""
      break
    fi
    [ -z "$container" ] || found_containers="$found_containers,\"$container\""
    owner_uid=${owner_uid:-$uid}
  done
  path=null
  [ -z "$2" ] || path="\"$2\""
  printf '{"inode":%s,"pid":%s,"path":%s,"pod":%s,"podUid":%s,"containers":[%s]}\n' "$1" "${pid:-null}" "$path" "${owner:-null}" \
    "$([ -z "$owner_uid" ] && echo null || echo "\"$owner_uid\"")" "${found_containers#,}" | said out "netns/$1/netns.json"
  for each in $3; do
    if [ -r "/proc/$each/root/etc/resolv.conf" ]; then
      said file "netns/$1/resolv.conf" <"/proc/$each/root/etc/resolv.conf" 2>/dev/null
      break
    fi
  done
}

# A line for each namespace but the root one: INODE PATH PID…, - where there is no path; those with a path first, since a pod's own has one.
grouped() {
  own=$(link_of /proc/1/ns/net)
  own=${own#net:[}
  namespaces | awk -v own="${own%]}" '
    $1 == own { next }
    !($1 in path) { order[++count] = $1; path[$1] = "-" }
    $2 ~ /^\/proc\/[0-9]+\/ns\/net$/ { split($2, part, "/"); pids[$1] = pids[$1] " " part[3]; next }
    path[$1] == "-" { path[$1] = $2 }
    END {
      for (i = 1; i <= count; i++) if (path[order[i]] != "-") print order[i] " " path[order[i]] pids[order[i]]
      for (i = 1; i <= count; i++) if (path[order[i]] == "-") print order[i] " -" pids[order[i]]
    }'
}

# Of the groups in its input those that are asked for; where nobody knows whose one is, it may be.
wanted() {
  while read -r inode path pids; do
    keep=yes
    for each in $pids; do
      pod_of "$each" || continue
      case " $KUBEWALK_PODS " in *" $pod_namespace/$pod "*) ;; *) keep=no ;; esac
      break
    done
    [ "$keep" = no ] || printf '%s\n' "$inode $path $pids"
  done
}

# namespaces_of N: of the others, each fourth from the Nth on.
namespaces_of() {
  turn=0
  printf '%s\n' "$groups" | while read -r inode path pids; do
    [ -n "$inode" ] || continue
    turn=$(((turn + 1) % 4))
    [ "$turn" -eq "$1" ] || continue
    way=$root$path
    if [ "$path" = - ]; then
      for each in $pids; do
        way=/proc/$each/ns/net
        [ ! -e "$way" ] || break
      done
    fi
    namespace "netns/$inode" "$way"
  done
}

# Four at a time: what each of them says is kept in memory until its turn to be sent has come.
others() {
  held 0 </dev/null | held 1 | held 2 | held 3
}

held() {
  namespaces_of "$1" </dev/null | awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) print line[i] }'
  cat
}

descriptions() {
  printf '%s\n' "$groups" | while read -r inode path pids; do
    [ "$path" != - ] || path=''
    [ -z "$inode" ] || describe "$inode" "$path" "$pids"
  done
}

# ---- files and programs

# keep FILE NAME: a file of configuration under files/NAME
keep() {
  case $1 in
    *.key | *.pem | *.crt | *.p12 | *.pfx | *.swp | *.gz | *.so | *.bin) return ;;
  esac
  [ -r "$1" ] || return
  head -c 1048576 "$1" 2>/dev/null | tr -d '\000\001' | said file "files$2"
}

# tree TOP FOLDER: every file below, links to files included
tree() (
  if [ -f "$1$2" ]; then
    keep "$1$2" "$2"
    return
  fi
  [ -d "$1$2" ] || return
  for each in "$1$2"/* "$1$2"/.[!.]*; do
    name=$2/${each##*/}
    if [ -d "$each" ] && [ ! -L "$each" ]; then
      tree "$1" "$name"
    elif [ -f "$each" ]; then
      keep "$each" "$name"
    fi
  done
)

files() {
  for each in /etc/cni/net.d /run/flannel /var/lib/cni/networks /var/lib/cni/results /etc/resolv.conf /run/systemd/resolve/resolv.conf \
    /etc/bird /etc/bird.conf /etc/bird6.conf /usr/local/etc/bird.conf /etc/keepalived /etc/haproxy /etc/frr \
    /etc/NetworkManager/system-connections /run/NetworkManager/system-connections /etc/nmstate /etc/systemd/network /run/systemd/network \
    /etc/netplan /etc/network/interfaces /etc/network/interfaces.d /etc/iproute2/rt_tables /etc/iproute2/rt_tables.d \
    /etc/calico /etc/kube-flannel /var/lib/calico/nodename /var/lib/dhcp /var/lib/dhclient /run/systemd/netif/leases \
    /var/lib/NetworkManager /etc/Corefile /etc/coredns; do
    # A link that leads through the node's own root cannot be followed from a pod.
    if [ -n "$host" ] && [ -L "$root$each" ]; then
      in_host cat "$each" 2>/dev/null | said file "files$each"
    else
      tree "$root" "$each"
    fi
  done
}

# in_host COMMAND…
in_host() {
  # shellcheck disable=SC2086 # words of a command
  case $host in
    nsenter) $stop $enter -m/proc/1/ns/mnt "$@" ;;
    chroot) $stop $change_root /proc/1/root "$@" ;;
    *) $stop "$@" ;;
  esac
}

have_there() {
  place_of "$1"
  [ "$found" != "$1" ]
}

# flag_of NAME: the value of -NAME or --NAME in the words of $words, one a line; in $found
flag_of() {
  found='' previous='' fields=$IFS
  IFS='
'
  set -f
  for word in $words; do
    case $word in
      "--$1="* | "-$1="*) found=${word#*=} ;;
    esac
    case $previous in "--$1" | "-$1") found=$word ;; esac
    previous=$word
  done
  set +f
  IFS=$fields
  [ -n "$found" ]
}

seen=' '

# program PID NAME: command line, the variables that configure it, and the files that it was told to read
program() {
  words=$(tr '\000' '\n' <"/proc/$1/cmdline" 2>/dev/null)
  [ -n "$words" ] || return
  name=$2
  if [ "$name" = calico-node ]; then
    case $words in *-felix*) ;; *) return ;; esac
  fi
  case $seen in *" $name "*) return ;; esac
  seen="$seen$name "
  if [ -r "/proc/$1/environ" ]; then
    tr '\000\001' '\n ' <"/proc/$1/environ" 2>/dev/null | said environment "$name"
  fi
  printf '%s\n' "$words" | said arguments "programs/$name.cmdline"
  own_root=/proc/$1/root
  case $name in
    kubelet | kube-proxy)
      if flag_of config; then
        case $found in /*) ;; *) found="/../cwd/$found" ;; esac
        if [ -r "$own_root$found" ]; then said file "programs/$name.yaml" <"$own_root$found"; fi
      fi
      ;;
    flanneld)
      flag_of net-config-path || found=/etc/kube-flannel/net-conf.json
      case $found in /*) tree "$own_root" "$found" ;; esac
      ;;
  esac
  # A container's own configuration; that of the node is read with the node's.
  if [ "$(link_of "/proc/$1/ns/mnt")" != "$(link_of /proc/1/ns/mnt)" ]; then
    case $name in
      bird | bird6) for each in /etc/calico/confd/config /etc/bird /etc/bird.conf; do tree "$own_root" "$each"; done ;;
      calico-felix | calico-node) tree "$own_root" /etc/calico/felix.cfg ;;
      cilium-agent) tree "$own_root" /tmp/cilium/config-map ;;
      keepalived) tree "$own_root" /etc/keepalived ;;
      haproxy) tree "$own_root" /etc/haproxy ;;
      bgpd) tree "$own_root" /etc/frr ;;
      coredns | node-cache)
        flag_of conf || found=/etc/Corefile
        case $found in /*) tree "$own_root" "$found" ;; esac
        ;;
    esac
  fi
}

programs() {
  for each in /proc/[0-9]*; do
    { read -r comm <"$each/comm"; } 2>/dev/null || continue
    case $comm in
      kubelet | kube-proxy | flanneld | calico-node | calico-felix | felix | bird | bird6 | cilium-agent | keepalived | haproxy | \
        bgpd | node-cache | coredns | speaker | kube-vip | kindnetd | dnsmasq | k3s-server | k3s-agent)
        program "${each#/proc/}" "$comm"
        ;;
    esac
    if [ "$comm" = cilium-agent ]; then cilium "${each#/proc/}"; fi
  done
}

# cilium PID: what the agent's own tool prints of its maps
cilium() {
  for each in lb:'lb list' ipcache:'ipcache list' endpoint:'endpoint list' tunnel:'tunnel list'; do
    # shellcheck disable=SC2086 # words of a command
    ask out "bpf/${each%%:*}.json" '' nsenter "--mount=/proc/$1/ns/mnt" cilium-dbg bpf ${each#*:} -o json
  done
}

# ---- all of it

# What must be known before anything else: whose files these are. kubelet registers the node by this name, or the host's in lower case.
head_of() {
  host_name=$(cat /proc/sys/kernel/hostname)
  node_name=$(printf %s "$host_name" | tr '[:upper:]' '[:lower:]')
  for each in /proc/[0-9]*; do
    { read -r comm <"$each/comm"; } 2>/dev/null || continue
    [ "$comm" = kubelet ] || continue
    words=$(tr '\000' '\n' <"$each/cmdline" 2>/dev/null)
    if flag_of hostname-override; then node_name=$found; fi
    break
  done
  node_name=${KUBEWALK_NAME:-$node_name}
  printf '{"format":"kubewalk.node/v1","name":"%s","hostname":"%s","startedAt":%s,"way":"%s"}\n' "$node_name" "$host_name" "$1" "${host:-direct}" |
    said out node.json
}

# Seconds since 1970, as exactly as date can.
seconds() {
  now=$(date +%s.%N 2>/dev/null | tr -cd 0-9.)
  # Seeding twice gives the first seed: the time.
  case $now in '' | .*) now=$(awk 'BEGIN { srand(); print srand() }') ;; esac
  printf %s "${now%.}"
}

survey() {
  now=$(seconds)
  fact startedAt "${now:-0}"
  head_of "${now:-0}"
  before=$(inodes)
  # A pod need not be on the host's network.
  host_netns=''
  [ "$(link_of /proc/1/ns/net)" = "$(link_of /proc/self/ns/net)" ] || host_netns=/proc/1/ns/net
  groups=$(grouped)
  [ -z "$KUBEWALK_PODS" ] || groups=$(printf '%s\n' "$groups" | wanted)
  {
    others
  } | {
    namespace host "$host_netns"
    descriptions
    programs
    files
    cat
  }
  if [ -z "$KUBEWALK_ONCE" ]; then
    rules_again host "$host_netns"
    after=$(inodes)
    [ "$before" = "$after" ] || changed netns
  fi
  fact endedAt "$(seconds)"
  printf '%s!\n' "$mark"
}

# In a container the node's own tools are called: in its mount namespace, if there is a shell; else those of the container's image serve.
find_node() {
  [ "$(link_of /proc/1/ns/mnt)" != "$(link_of /proc/self/ns/mnt)" ] || return
  if [ "$enter" != none ] && $enter -m/proc/1/ns/mnt sh -c : >/dev/null 2>&1 </dev/null; then
    host=nsenter root=/proc/1/root
  elif $change_root /proc/1/root sh -c : >/dev/null 2>&1 </dev/null; then
    host=chroot root=/proc/1/root
  elif [ -d /proc/1/root/etc ]; then
    root=/proc/1/root
  fi
}

# An image may have busybox and no names for its parts.
find_applets() {
  enter=nsenter change_root=chroot limiter=timeout
  if have busybox; then
    for each in awk tr sort head readlink grep sed cat ls date; do
      if ! have "$each"; then eval "$each() { busybox $each \"\$@\"; }"; fi
    done
    have nsenter || enter='busybox nsenter'
    have chroot || change_root='busybox chroot'
    have timeout || limiter='busybox timeout'
  fi
  # What is missing nevertheless, awk or the shell can do well enough.
  have cat || eval 'cat() { awk "{ print }" "$@"; }'
  have head || eval 'head() { cat "$3"; }'
  have sort || eval 'sort() { cat; }'
  # shellcheck disable=SC2086 # words of a command
  $enter -n/proc/self/ns/net true >/dev/null 2>&1 </dev/null || have nsenter || enter=none
}

find_tools() {
  remember
  # shellcheck disable=SC2086 # words of a command
  if $limiter -s KILL 5 true >/dev/null 2>&1 </dev/null; then stop="$limiter -s KILL $limit"; fi
  nft_there=no ipset_there=no ipvs_there=no conntrack_there=no sysctl_kind=files iptables_kind=nft
  if loaded nf_tables; then nft_there=yes; fi
  if loaded ip_set; then ipset_there=yes; fi
  if [ -e /proc/net/ip_vs ]; then ipvs_there=yes; fi
  if loaded nf_conntrack_netlink; then conntrack_there=yes; fi
  case $(in_host "$at_iptables_save" --version 2>/dev/null </dev/null) in *nf_tables*) ;; *) iptables_kind=legacy ;; esac
  case $(in_host "$at_sysctl" --version 2>/dev/null </dev/null) in *procps*) sysctl_kind=procps ;; esac
  # Without the modules that answer ss it is told to read /proc, so that it does not have them loaded.
  if ! loaded tcp_diag || ! loaded udp_diag || ! loaded inet_diag; then
    export PROC_NET_TCP=/proc/net/tcp PROC_NET_UDP=/proc/net/udp PROC_NET_RAW=/proc/net/raw
  fi
}

archive() {
  awk '
@AWK@
' | tr '\001' '\000'
}

main() {
  [ -r /proc/uptime ] || { echo "kubewalk: no /proc: not Linux, or it is not mounted" >&2; exit 1; }
  nonce=$$
  { read -r nonce </proc/sys/kernel/random/uuid; } 2>/dev/null
  mark=$(printf '\001%s ' "$nonce")
  export mark
  KUBEWALK_ONCE=${KUBEWALK_ONCE:-} KUBEWALK_PODS=${KUBEWALK_PODS:-}
  find_applets
  have awk || { echo "kubewalk: no awk, without which secrets cannot be removed: nothing is sent" >&2; exit 1; }
  [ "$(echo kubewalk | awk '{ print $1 }')" = kubewalk ] || { echo "kubewalk: awk does not work: nothing is sent" >&2; exit 1; }
  have tr || { echo "kubewalk: no tr" >&2; exit 1; }
  find_node
  find_tools
  survey | archive
}

main
exit
