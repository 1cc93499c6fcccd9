# Sourced by test/run: three network namespaces, ours (a) and the remote's (b)
# with a router between them that can lose what it should pass on.  A test in
# them asks by a line in a pipe, and is answered by one (NetworkRig.pm):
#
#	start FOLDER | stop FOLDER		a server in b
#	lose up|down|both				nothing arrives there (up), or comes back
#	unreachable						the router says that there is no such host
#	clear							all is well again
#
# In (a) its user may write /etc/resolv.conf, which is not the system's, and
# listen on any port.
#
# Needs root and iproute2; network_make says in $network_why why it cannot be.
network=

network_make()
{
	local name=pcfg$$ side other number
	network_why="they need root"
	[ "$(id -u)" = 0 ] || return 1
	network_why="they need ip (Debian: iproute2)"
	command -v ip >/dev/null || return 1
	network_why="this system lets nobody make them"
	for side in a r b; do
		ip netns add $name$side 2>/dev/null || { network=$name; network_drop; return 1; }
	done
	network=$name
	for side in a b; do
		number=1 && [ $side = a ] || number=2
		ip link add ${name}$side netns ${name}$side type veth peer name ${name}r$side netns ${name}r 2>/dev/null &&
			ip -n ${name}$side addr add 10.77.$number.2/24 dev ${name}$side &&
			ip -n ${name}r addr add 10.77.$number.1/24 dev ${name}r$side &&
			ip -n ${name}$side link set ${name}$side up &&
			ip -n ${name}r link set ${name}r$side up &&
			ip -n ${name}$side link set lo up &&
			ip -n ${name}$side route add default via 10.77.$number.1 || { network_drop; return 1; }
	done
	ip netns exec ${name}r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>/dev/null &&
		ip netns exec ${name}a sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start' 2>/dev/null &&
		mkdir -p /etc/netns/${name}a && : >/etc/netns/${name}a/resolv.conf &&
		chown "$user" /etc/netns/${name}a/resolv.conf || { network_drop; return 1; }
	mkdir "$work/network"
	mkfifo "$work/network/requests" "$work/network/answers"
	chown -R "$user" "$work/network"
	network_serve <>"$work/network/requests" >/dev/null &
	network_server=$!
}

network_drop()
{
	local side
	[ -n "$network" ] || return 0
	[ -z "${network_server:-}" ] || kill "$network_server" 2>/dev/null
	for side in a r b; do
		ip netns del $network$side 2>/dev/null
	done
	rm -rf "$work/network" "/etc/netns/${network}a"
	rmdir /etc/netns 2>/dev/null
	network=
	network_server=
}

# As the unprivileged user, in the namespace $1.
in_network()
{
	local side=$1
	shift
	(cd "$work" && exec ip netns exec "$network$side" \
		setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups \
		env HOME="$work" PCFG_NETWORK="$work/network" "$@")
}

network_clear()
{
	ip -n "${network}r" route flush type blackhole 2>/dev/null
	ip -n "${network}r" route flush type unreachable 2>/dev/null
	return 0
}

network_obey()
{
	case "$1 ${2:-}" in
	start*) in_network b "$bindir/pg_ctl" -w -t 60 -s -D "$2" -l "$2/start.log" start ;;
	stop*) in_network b "$bindir/pg_ctl" -w -t 60 -s -D "$2" -m immediate stop ;;
	'lose up') ip -n "${network}r" route add blackhole 10.77.2.2/32 ;;
	'lose down') ip -n "${network}r" route add blackhole 10.77.1.2/32 ;;
	'lose both') ip -n "${network}r" route add blackhole 10.77.2.2/32 && ip -n "${network}r" route add blackhole 10.77.1.2/32 ;;
	unreachable*) ip -n "${network}r" route add unreachable 10.77.2.2/32 ;;
	clear*) network_clear ;;
	*) false ;;
	esac </dev/null >/dev/null 2>"$work/network/error"
}

network_serve()
{
	local request
	while read -r request; do
		# shellcheck disable=SC2086
		if network_obey $request; then
			echo ok >"$work/network/answers"
		else
			echo "error $(tr '\n' ' ' <"$work/network/error")" >"$work/network/answers"
		fi
	done
}
