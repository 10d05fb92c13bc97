# Prints what one namespace holds, as a snapshot has it: one file for each command below the folder $1.
# $2 is "all" or "some": of a namespace without rules, sets and connections their listings are left out.
cd "$1" || exit 1
: >log
list() {
  file=$1
  shift
  "$@" >"$file" 2>"err.$file"
  echo "$? $file $*" >>log
}
list addr.json ip -j -d addr
list route4.json ip -j -d -4 route show table all
list route6.json ip -j -d -6 route show table all
list rule4.json ip -j -4 rule
list rule6.json ip -j -6 rule
list neigh.json ip -j neigh show nud all
list neigh-proxy.json ip -j neigh show proxy
list sockets.txt ss -H -O -lntuwe
list sysctl.txt sysctl -a -r ^net
list fdb.json bridge -j -d fdb
list bridge-link.json bridge -j -d link
list nexthop.json ip -j nexthop
list nft.json nft -j -a list ruleset
rules=some
grep -q '"table"' nft.json || rules=none
legacy=none
for names in /proc/net/ip_tables_names /proc/net/ip6_tables_names; do
  # Files of /proc have no size.
  grep -q . "$names" 2>/dev/null && legacy=some
done
if [ "$2" = all ] || [ $rules = some ] || [ $legacy = some ]; then
  list nft.txt nft -a list ruleset
  list iptables-save.txt iptables-save -c
  list ip6tables-save.txt ip6tables-save -c
  list ipset.txt ipset save
fi
if [ $legacy = some ]; then
  list iptables-legacy-save.txt iptables-legacy-save -c
  list ip6tables-legacy-save.txt ip6tables-legacy-save -c
fi
# Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors …
lost=0
while read -r word _ _ _ _ number _; do
  [ "$word" = Udp: ] && lost=$number
done </proc/net/snmp
if [ "$2" = all ] || [ "$lost" != 0 ]; then
  command -v nstat >/dev/null && list stats.txt nstat -az
fi
# In every namespace: an empty table is known to be empty only when it was asked for.
[ -e /proc/net/ip_vs ] && list ipvs.txt ipvsadm -S -n
if [ "$2" = all ]; then
  list vlan.json bridge -j -d vlan
  list nsid.json ip -j netns list-id
  list tc.json tc -j qdisc show
  list link-stats.json ip -j -s link
  command -v ethtool >/dev/null && list ethtool.txt sh -c 'for dev in $(ip -o link show type vxlan | cut -d: -f2); do ethtool -k "$dev"; done'
  [ -d /proc/net/xt_recent ] && list xt_recent.txt sh -c 'for file in /proc/net/xt_recent/*; do echo "== ${file##*/}"; cat "$file"; done'
fi
count=0
[ -r /proc/sys/net/netfilter/nf_conntrack_count ] && read -r count </proc/sys/net/netfilter/nf_conntrack_count
if command -v conntrack >/dev/null && { [ "$2" = all ] || [ "$count" -gt 0 ]; }; then
  list conntrack.txt conntrack -L -o extended
  list conntrack6.txt conntrack -L -f ipv6 -o extended
  list conntrack-stats.txt conntrack -S
fi
exit 0
