# Sourced by test/run, test/demo and test/bench: packages, a build, and a
# private copy of the server's tree with the extension in it, so that nothing
# of ours is installed in the system.  Needs: $root (the checkout).
#
# After setup: $work (temporary folder, removed at exit), $tree (a copy of the
# sources, built), $bindir (of the private tree), as_user (runs a command as
# an unprivileged user).

# Debian packages that a build and servers need, and a file that each brings.
packages="gcc:/usr/bin/gcc make:/usr/bin/make libpq-dev:/usr/include/postgresql/libpq-fe.h
	libcares-dev:/usr/include/ares.h libssl-dev:/usr/include/openssl/ssl.h openssl:/usr/bin/openssl"

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# The newest server of 15 to 18 that has both itself and its headers here.
find_server()
{
	local version
	for version in 18 17 16 15; do
		if [ -x "/usr/lib/postgresql/$version/bin/postgres" ] &&
			[ -f "/usr/include/postgresql/$version/server/postgres.h" ] &&
			[ -f "/usr/lib/postgresql/$version/lib/pgxs/src/test/perl/PostgreSQL/Test/Cluster.pm" ]; then
			server=/usr/lib/postgresql/$version
			return 0
		fi
	done
	return 1
}

# Which server packages the package manager offers.
server_packages()
{
	local version
	for version in 18 17 16 15; do
		if apt-cache show "postgresql-server-dev-$version" >/dev/null 2>&1; then
			echo "postgresql-$version postgresql-server-dev-$version"
			return
		fi
	done
	echo "postgresql-15 postgresql-server-dev-15"
}

missing_packages()
{
	local entry file
	for entry in $packages "$@"; do
		file=${entry#*:}
		[ -e "$file" ] || [ -e "${file/\/usr\/include\//\/usr\/include\/$(uname -m)-linux-gnu\/}" ] ||
			echo "${entry%%:*}"
	done
}

# Installs what is missing, or says what to type.  No default cluster is made
# and no service is left running.
install_packages()
{
	local missing apt conf
	missing=$(missing_packages "$@" | sed 's/^libcares-dev$/libc-ares-dev/' | tr '\n' ' ')
	find_server && [ -z "${missing// /}" ] && return 0
	if [ "$(id -u)" = 0 ]; then
		apt=""
	elif sudo -n true 2>/dev/null; then
		apt="sudo -n"
	else
		find_server || missing="$missing $(server_packages)"
		die "These packages are needed; type:  sudo apt-get install --no-install-recommends $missing"
	fi
	command -v apt-get >/dev/null || die "These packages are needed: $missing PostgreSQL 15 to 18 with its headers"
	say "installing what is missing ..."
	$apt apt-get update -q >/dev/null 2>&1 || true
	find_server || missing="$missing $(server_packages)"
	# a new server package would make and start a cluster of its own
	conf=/etc/postgresql-common/createcluster.d/pool_config_test.conf
	if [ ! -e /usr/bin/pg_createcluster ]; then
		$apt mkdir -p /etc/postgresql-common/createcluster.d
		echo 'create_main_cluster = false' | $apt tee $conf >/dev/null
	fi
	# shellcheck disable=SC2086
	$apt env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y \
		--no-install-recommends $missing >"$work/apt.log" 2>&1 || {
		tail -n 20 "$work/apt.log" >&2
		die "could not install: $missing"
	}
	[ ! -e $conf ] || $apt rm -f $conf
	find_server || die "no PostgreSQL server of version 15 to 18 with its headers is installed"
}

# As root, servers cannot run: everything behind the build runs as somebody.
choose_user()
{
	user=
	if [ "$(id -u)" = 0 ]; then
		for user in postgres nobody; do
			id "$user" >/dev/null 2>&1 && break
		done
	fi
}

# In a folder that he may enter, which the checkout's need not be.
as_user()
(
	cd "$work" || exit 1
	if [ -n "$user" ]; then
		exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups \
			env HOME="$work" "$@"
	fi
	exec "$@"
)

# A private tree: programs are copied, for they find the rest by their own
# place; all else is links, and the extension.
make_tree()
{
	local sharedir
	sharedir=$("$server/bin/pg_config" --sharedir)
	mkdir -p "$work/inst$server/bin" "$work/inst$server/lib" "$work/inst$sharedir"
	cp "$server"/bin/* "$work/inst$server/bin/"
	cp -rs "$server"/lib/. "$work/inst$server/lib/"
	cp -rs "$sharedir"/. "$work/inst$sharedir/"
	rm -f "$work/inst$server/lib/pool_config.so" "$work/inst$sharedir"/extension/pool_config*
	bindir=$work/inst$server/bin
}

# Copies the sources and builds them; $1 more arguments of make.
build_copy()
{
	tree=$work/src
	mkdir "$tree"
	(cd "$root" && tar cf - --exclude=.git --exclude='*.o' --exclude='*.so' \
		--exclude=tmp_check .) | (cd "$tree" && tar xf -)
	rebuild "$@" || die "the build or the installation into the private tree failed"
}

# Builds and installs what is in $tree now; $1 more arguments of make.
rebuild()
{
	make -s -C "$tree" -j "$(nproc 2>/dev/null || echo 1)" PG_CONFIG="$server/bin/pg_config" "$@" &&
		make -s -C "$tree" install PG_CONFIG="$server/bin/pg_config" DESTDIR="$work/inst"
}

# Everything above; the arguments are more packages.
setup()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/pool_config.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	install_packages "$@"
	choose_user
	make_tree
	build_copy
	chmod 755 "$work"
	if [ -n "$user" ]; then
		chown -R "$user" "$work"
	fi
}

make_tap_folders()
{
	rm -rf "$work/tap"
	mkdir -p "$work/tap/direct" "$work/tap/relay"
	[ -z "$user" ] || chown -R "$user" "$work/tap"
}

# Sets the array "command" to what runs the TAP file $1 over the transport $2.
tap_command()
{
	command=(env PATH="$bindir:$PATH" PERL5LIB="$server/lib/pgxs/src/test/perl:$tree/test/lib"
		PG_REGRESS="$server/lib/pgxs/src/test/regress/pg_regress"
		TESTDATADIR="$work/tap/$2" TESTDIR="$work/tap/$2" TESTLOGDIR="$work/tap/$2/log" TMPDIR="$work/tap"
		LC_ALL=C PCFG_TEST_TRANSPORT="$2" sh -c 'cd "$1" && exec perl "$2"' sh "$tree" "$1")
}
