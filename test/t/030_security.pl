# Attacks on record against poolers, foreign data wrappers and clients, tried
# here: each test names the rule that it holds up.
#
#	S01-S12	the server's identity	S20-S26	identity and state in poolers
#	S30-S37	the protocol			S40-S46	what is local
#
# S22 (state that is left) is tested in 005_isolation, S31 and S42 (sizes,
# messages) in test/unit, S32 and S33 (broken servers) in 008_hostile, S25 and
# S30 (cuts in messages) in 007_network, too.
use strict;
use warnings;
use File::Spec;
use FaultProxy;
use HostileServer;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $local  = start_local('local');
my $port   = $remote->port;
my $proxy  = FaultProxy->new($port);

$local->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;
	CREATE ROLE signaller LOGIN;
	GRANT pg_signal_backend TO signaller;
	GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO alice;
});

# A target by DDL: "option value" pairs of the server, then of the mappings.
sub server
{
	my ($name, $options, %mappings) = @_;
	my %all = (host => '127.0.0.1', port => $port, dbname => 'postgres', sslmode => 'disable', %$options);
	my $list = sub { my %o = @_; join ', ', map { "$_ '$o{$_}'" } grep { defined $o{$_} } sort keys %o };

	$local->safe_psql('postgres', "DROP SERVER IF EXISTS $name CASCADE; CREATE SERVER $name FOREIGN DATA WRAPPER pool_config OPTIONS ("
		  . $list->(%all) . "); GRANT USAGE ON FOREIGN SERVER $name TO alice, bob, carol");
	$local->safe_psql('postgres', "CREATE USER MAPPING FOR $_ SERVER $name OPTIONS (" . $list->(%{ $mappings{$_} }) . ')')
	  for sort keys %mappings;
}

sub scratch { return File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir()); }

sub sessions_of
{
	my ($user) = @_;
	return $remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename = '$user'");
}

sub call { return "SELECT * FROM pool_config.query('$_[0]', 'select session_user::text') AS t(u text)"; }

my %app     = (user => 'app', password => 'app-secret');
my %trusted = (user => 'trusted', password => 'app-secret');

# --- borrowing the server's identity
server('t', {}, PUBLIC => \%trusted);
fails_with($local, 'SET ROLE alice; ' . call('t') . ';', '2F003', 'password', 'sec_S01: a remote that trusts the server does not trust its users');
poll_until('sec_S01: the connection made for the refused call is closed', sub { sessions_of('trusted') == 0 });
server('t', { host => $remote->host }, PUBLIC => \%trusted);
fails_with($local, 'SET ROLE alice; ' . call('t') . ';', '2F003', 'password', 'sec_S01: nor over a unix socket');

server('t', {}, PUBLIC => \%trusted);
sql_ok($local, call('t'), 'trusted', 'sec_S02: a superuser warms a connection that needed no password');
$local->safe_psql('postgres', 'CREATE FUNCTION as_alice() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ ' . call('t') . ' $$;
	CREATE FUNCTION as_super() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ ' . call('t') . ' $$;
	ALTER FUNCTION as_alice() OWNER TO alice');
fails_with($local, 'SET ROLE alice; ' . call('t') . ';', '2F003', 'password', 'sec_S02: it is not lent to a role that may not have made it');
fails_with($local, 'SELECT as_alice();', '2F003', 'password', 'sec_S02: nor in a SECURITY DEFINER function of that role, for a superuser');
sql_ok($local, 'SET ROLE alice; SELECT as_super()', 'trusted', 'sec_S02: but in one of a superuser');
sql_ok($local, 'SET SESSION AUTHORIZATION alice; SELECT as_super()', 'trusted', 'sec_S02: after SET SESSION AUTHORIZATION, too');

# the account of the server has it all; a client of libpq there would be let in
{
	my $home = scratch();
	mkdir "$home/.postgresql";
	append_to_file("$home/.pgpass", "*:*:*:*:app-secret\n");
	append_to_file("$home/.pg_service.conf", "[planted]\nhost=127.0.0.1\nport=$port\nuser=app\npassword=app-secret\ndbname=postgres\n");
	append_to_file("$home/pass", "*:*:*:*:app-secret\n");
	chmod 0600, "$home/.pgpass", "$home/pass";
	my %planted = (
		'PGPASSWORD'    => { PGPASSWORD => 'app-secret' },
		'the password file of the home' => { HOME => $home },
		'PGPASSFILE'    => { PGPASSFILE => "$home/pass" },
		'PGSERVICE'     => { PGSERVICE => 'planted', HOME => $home },
		'PGSERVICEFILE' => { PGSERVICE => 'planted', PGSERVICEFILE => "$home/.pg_service.conf" },
		'PGSYSCONFDIR'  => { PGSERVICE => 'planted', PGSYSCONFDIR => $home },
	);
	symlink "$home/.pg_service.conf", "$home/pg_service.conf";
	server('bare', {}, PUBLIC => { user => 'app' });
	my %all = map { %$_ } values %planted;
	for my $what (sort keys %planted)
	{
		local %ENV = (%ENV, HOME => '/nonexistent', %{ $planted{$what} });
		my $service = $planted{$what}{PGSERVICE} ? 'service=planted ' : '';
		my ($out, $err);
		my $ok = IPC::Run::run([ 'psql', '-XqAtw', "${service}host=127.0.0.1 port=$port user=app dbname=postgres", '-c', 'SELECT 1' ], '>', \$out, '2>', \$err);
		is($out, "1\n", "sec_S03: planted, and good for a client: $what") or diag($err);
	}
	{
		local %ENV = (%ENV, %all, PGOPTIONS => '-c work_mem=77MB', PGUSER => 'trusted', PGHOST => '127.0.0.1', PGHOSTADDR => '127.0.0.1',
			PGPORT => $port, PGDATABASE => 'postgres', PGSSLMODE => 'disable', KRB5CCNAME => "$home/ccache", PGREQUIREAUTH => 'none');
		$local->restart;
	}
	fails_with($local, call('bare') . ';', '08001', 'no password supplied', 'sec_S03: none of them serves a connection of the pool');
	server('t', {}, PUBLIC => \%app);
	sql_ok($local, q{SELECT * FROM pool_config.query('t', 'show work_mem') AS t(x text)}, '4MB', 'sec_S03: nor does PGOPTIONS');
	$local->safe_psql('postgres', "CREATE SERVER nohost FOREIGN DATA WRAPPER pool_config OPTIONS (dbname 'postgres', sslmode 'disable');
		CREATE USER MAPPING FOR PUBLIC SERVER nohost OPTIONS (user 'trusted', password 'x')");
	my ($rc, $out, $err) = $local->psql('postgres', call('nohost'));
	is($out, '', 'sec_S03: PGHOST and PGPORT name no host') or diag($err);
	$local->restart;
}

{
	my $bait = HostileServer->new(postgres => sub { $_[0]->say('R', pack 'N', 3); $_[0]->read(5); });
	server('t', { host => '127.0.0.1,127.0.0.1', port => $bait->port . ",$port" }, PUBLIC => \%trusted);
	sql_ok($local, call('t'), 'trusted', 'sec_S04: the first host asks for the password and hangs up, the second one trusts');
	fails_with($local, 'SET ROLE alice; ' . call('t') . ';', '2F003', 'does not request a password', 'sec_S04: that the first one asked opens nothing');
}

# every option that names a file, a command or an identity of the server
for my $option (qw(passfile service sslcert sslkey sslrootcert sslcrl sslcrldir requirepeer krbsrvname gsslib))
{
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE alice;\nCREATE SERVER files FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', $option '/etc/passwd');");
	like($err, qr/ERROR:  (?:42501|HV00D)/, "sec_S05: $option is not for everybody");
	($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE alice;\nSELECT pool_config.create_target('files', 'postgresql://u:p\@h/d', '{\"$option\": \"/etc/passwd\"}');");
	like($err, qr/ERROR:  (?:42501|HV00D|22023|0A000)/, "sec_S05: nor as connect_args");
}
$local->safe_psql('postgres', "CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO alice;
	GRANT CREATE ON DATABASE postgres TO alice");
my $passfile = scratch() . '/pass';
append_to_file($passfile, "*:*:*:*:app-secret\n");
chmod 0600, $passfile;
$local->safe_psql('postgres', "SET ROLE alice; CREATE SERVER lax FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', sslmode 'disable', passfile '$passfile');
	CREATE USER MAPPING FOR alice SERVER lax OPTIONS (user 'app', password 'x');
	CREATE USER MAPPING FOR bob SERVER lax OPTIONS (user 'app')");
fails_with($local, "SET ROLE alice; " . call('lax') . ';', '42501', 'passfile', 'sec_S05: a file that another wrapper let its owner name is not read');

server('t', {}, alice => { %trusted, password_required => 'false' });
sql_ok($local, 'SET ROLE alice; ' . call('t'), 'trusted', 'sec_S06: a superuser waives the rule');
$local->safe_psql('postgres', "ALTER USER MAPPING FOR alice SERVER t OPTIONS (SET password_required 'true')");
fails_with($local, 'SET ROLE alice; ' . call('t') . ';', '2F003', 'password', 'sec_S06: and takes it back, also from open connections');
fails_with($local, "SET ROLE alice; ALTER USER MAPPING FOR alice SERVER t OPTIONS (SET password_required 'false');", '42501', '.', 'sec_S06: which nobody else can');

{
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nSELECT pool_config.create_target('g', 'postgresql://app:x\@127.0.0.1:$port/postgres?gssencmode=require');");
	like($err, qr/ERROR:  \w{5}.*gssencmode/s, 'sec_S07: Kerberos is not asked for');
}

# keys of a SCRAM login that somebody else made, and the wish to pass one through
for my $option (qw(scram_client_key scram_server_key use_scram_passthrough))
{
	for my $sql ("CREATE SERVER scram FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', $option 'eA==')",
		"CREATE USER MAPPING FOR carol SERVER t OPTIONS (user 'app', $option 'eA==')",
		"SELECT pool_config.create_target('scram', 'postgresql://app:x\@127.0.0.1:$port/postgres?$option=eA')")
	{
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n$sql;");
		like($err, qr/ERROR:  \w{5}:.*(?:$option|is not known)/s, "sec_S08: not even a superuser hands over $option: " . substr($sql, 0, 13));
	}
}

# words of libpq in values stay values
for my $dbname ("postgres user=trusted", "postgresql://trusted\@127.0.0.1:$port/postgres", "-c", "postgres'' user=''trusted")
{
	server('t', { dbname => $dbname }, PUBLIC => \%app);
	fails_with($local, call('t') . ';', '08001', 'database ".*" does not exist', 'sec_S10: a value is not read as words of libpq');
}
for my $name ("host=127.0.0.1 port=$port user=trusted dbname=postgres", "postgresql://trusted\@127.0.0.1:$port/postgres")
{
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nSELECT pool_config.exec('$name', 'select 1');");
	like($err, qr/ERROR:  42704/, 'sec_S10: an address is no name of a target');
	unlike(join("\n", grep { /ERROR|DETAIL|HINT/ } split /\n/, $err), qr/trusted/, 'sec_S10: and is not repeated');
}

$remote->safe_psql('postgres', q{CREATE ROLE other LOGIN PASSWORD 'other-secret'});
server('t', {}, alice => \%app, bob => { user => 'other', password => 'other-secret' });
sql_ok($local, q{GRANT alice, bob TO carol; SET SESSION AUTHORIZATION carol;
	PREPARE p AS } . call('t') . q{;
	SET ROLE alice; EXECUTE p; SET ROLE bob; EXECUTE p; SET ROLE alice; EXECUTE p}, "app\nother\napp",
	'sec_S11: a prepared plan takes the identity of the one who runs it');
fails_with($local, q{SET SESSION AUTHORIZATION carol; } . call('t') . ';', '42704', 'user mapping', 'sec_S11: and of nobody else');
$local->safe_psql('postgres', 'ALTER FUNCTION as_alice() OWNER TO bob');
sql_ok($local, 'SET ROLE alice; SELECT as_alice() || ' . "(SELECT u FROM (" . call('t') . ') x) || as_alice()', 'otherappother',
	'sec_S11: identities alternate within one statement');
$local->safe_psql('postgres', 'REVOKE alice, bob FROM carol');

# --- who steers
my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
for my $signal ('pg_terminate_backend', 'pg_cancel_backend')
{
	$local->psql('postgres', "SET ROLE signaller; SELECT $signal($worker)");
}
is($local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers'), $worker, 'sec_S12: the worker is not signalled by SQL');
$local->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
server('t', { pool_size => 2 }, PUBLIC => \%app);
$local->safe_psql('postgres', q{CREATE FUNCTION try_all() RETURNS SETOF text LANGUAGE plpgsql AS $f$
	DECLARE p record; arguments text;
	BEGIN
		FOR p IN SELECT oid::regprocedure AS signature, proname, proargtypes, pronargs - pronargdefaults AS needed
				FROM pg_proc WHERE pronamespace = 'pool_config'::regnamespace ORDER BY 1 LOOP
			SELECT string_agg(format('%L::%s', CASE WHEN t = 'text'::regtype AND n = 1 THEN 't'
				WHEN t IN ('int'::regtype, 'float8'::regtype, 'oid'::regtype) THEN '1'
				WHEN t = 'text'::regtype THEN 'select 1' END, CASE WHEN t = 'anyelement'::regtype THEN 'pool_config.pools' ELSE t::regtype::text END), ', ' ORDER BY n)
				INTO arguments FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) WHERE n <= p.needed;
			BEGIN
				EXECUTE format('SELECT count(*) FROM (SELECT pool_config.%I(%s)) x', p.proname, arguments);
				RETURN NEXT p.proname;
			EXCEPTION WHEN insufficient_privilege THEN NULL;
				WHEN OTHERS THEN RETURN NEXT p.proname || ': ' || SQLSTATE;
			END;
		END LOOP;
	END $f$});
my %harmless = map { $_ => 1 } qw(targets pools connections waiters workers stats histograms parse_url
	validator stats_reset check_functions alter_target reset_target release);
my @allowed = grep { my ($name, $code) = split /: /; !$harmless{$name} && !($code && $code !~ /^(?:XX|58|57)/) } split /\n/, $local->safe_psql('postgres', 'SET ROLE nobody; SELECT try_all()');
is(join(' ', @allowed), '', 'sec_S12: who owns nothing and may use nothing, can use and steer nothing');
for my $sql (q{SELECT pool_config.alter_target('t', pool_size => 3)}, q{SELECT pool_config.alter_target('t', password => 'x')}, q{SELECT pool_config.reset_target('t', 'pool_size')})
{
	fails_with($local, "SET ROLE nobody; $sql;", '42501', '.', "sec_S12: nor change anything: $sql");
}
is($local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE state = 'paused'}), 0, 'sec_S12: nothing was paused by that');

# --- identity and state
for my $order ('alice bob carol', 'carol bob alice', 'bob carol alice')
{
	server('t', {}, alice => \%app);
	my $expect = { alice => 'app', bob => '', carol => '' };
	for my $role (split / /, $order)
	{
		my ($rc, $out, $err) = $local->psql('postgres', "SET ROLE $role; " . call('t'));
		is($out, $expect->{$role}, "sec_S20: $order: $role is " . ($expect->{$role} || 'nobody'));
	}
}
server('t', {}, alice => \%app, PUBLIC => { user => 'other', password => 'other-secret' });
sql_ok($local, "SET ROLE $_; " . call('t'), $_ eq 'alice' ? 'app' : 'other', "sec_S20: with a mapping of PUBLIC: $_") for qw(bob alice carol);

$remote->safe_psql('postgres', q{CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO app;
	CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
	CREATE FUNCTION evil.same(text, text) RETURNS bool LANGUAGE sql AS $$ SELECT false $$;
	CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text)});
server('t', { pool_size => 1, max_overflow => 0 }, PUBLIC => \%app);
sql_ok($local, q{SET client_min_messages = error; SELECT pool_config.exec('t', 'SET search_path = evil, pg_catalog')}, 'SET', 'sec_S21: a search_path is left behind');
sql_ok($local, q{SET ROLE alice; SELECT * FROM pool_config.query('t', 'select lower(''A'') || (''a''::text = ''a''::text)') AS t(x text)}, 'atrue', 'sec_S21: and changes nothing for the next one');

# a credential that is no more is no more after its connection's age at the latest
server('t', { pool_recycle => '1' }, PUBLIC => \%app);
for my $end (q{ALTER ROLE app PASSWORD 'changed'}, q{ALTER ROLE app PASSWORD 'app-secret' VALID UNTIL '2000-01-01'}, q{REVOKE CONNECT ON DATABASE postgres FROM PUBLIC})
{
	$remote->safe_psql('postgres', q{ALTER ROLE app PASSWORD 'app-secret' VALID UNTIL 'infinity'; GRANT CONNECT ON DATABASE postgres TO PUBLIC});
	$local->safe_psql('postgres', q{ALTER USER MAPPING FOR PUBLIC SERVER t OPTIONS (SET password 'app-secret')});
	poll_until("sec_S23: calls work before $end", sub { my ($rc) = $local->psql('postgres', call('t')); $rc == 0 });
	$remote->safe_psql('postgres', $end);
	my $since = time;
	poll_until("sec_S23: refused after $end", sub { my ($rc) = $local->psql('postgres', call('t')); $rc != 0 });
	cmp_ok(time - $since, '<', 2.5, 'sec_S23: within the age limit of a second');
}
$remote->safe_psql('postgres', q{ALTER ROLE app PASSWORD 'app-secret' VALID UNTIL 'infinity'; GRANT CONNECT ON DATABASE postgres TO PUBLIC});

server('t', {}, alice => \%app, bob => { user => 'app', password => 'guessed' });
sql_ok($local, 'SET ROLE alice; ' . call('t'), 'app', 'sec_S24: one mapping has an idle connection');
fails_with($local, 'SET ROLE bob; ' . call('t') . ';', '08001', 'password authentication failed', 'sec_S24: which is not lent to another with a wrong password');

# late cancels, requests that arrive when somebody else is at work
server('slow', { port => $proxy->port, pool_size => 1, max_overflow => 0 }, PUBLIC => \%app);
$proxy->tell('delay', 'both 3');
my $victim = start_psql($local, q{
	DO $$ DECLARE x int; BEGIN FOR i IN 1..150 LOOP
		SELECT * INTO x FROM pool_config.query('slow', 'select ' || i) AS t(a int);
		IF x <> i THEN RAISE EXCEPTION 'answer % for %', x, i; END IF;
	END LOOP; END $$;
	SELECT 'unharmed'});
my $cancelled = start_psql($local, q{
	DO $$ BEGIN FOR i IN 1..60 LOOP
		BEGIN
			PERFORM set_config('pool_config.command_timeout', (4 + i % 9) || 'ms', true);
			PERFORM pool_config.exec('slow', 'select 1');
		EXCEPTION WHEN query_canceled OR too_many_connections THEN NULL; END;
	END LOOP; END $$;
	SELECT 'done'});
finish_psql($_) for $victim, $cancelled;
like($victim->{out}, qr/unharmed/, 'sec_S25, sec_S26: cancels that come late hit nobody else') or diag($victim->{err});
like($cancelled->{out}, qr/done/, 'sec_S26: they were sent') or diag($cancelled->{err});
cmp_ok($proxy->count->{cancels}, '>=', 5, 'sec_S26: and arrived');
$proxy->clear;

# --- the protocol
$remote->append_conf('postgresql.conf', "log_statement = 'all'");
$remote->reload;
for my $n (1, 4, 5, 100, 4096, 8192, 50_000, 131_072)
{
	my $rule = $proxy->rule("up bytes $n hold");
	fails_with($local, qq{SET statement_timeout = '300ms';
		SELECT pool_config.exec('slow', 'select length(' || quote_literal(repeat(E'Q\\x01\\x01\\x01\\x40select inner_statement();', 20000)) || ')');},
		'57014', 'timeout', "sec_S30: a statement that is cancelled when $n bytes of it were sent");
	is($proxy->fired($rule), 1, 'sec_S30: was held there');
	$proxy->clear;
	sql_ok($local, call('slow'), 'app', 'sec_S30: the next call works');
}
unlike(slurp_file($remote->logfile), qr/(?:statement|execute [^:]*): select inner_statement/, 'sec_S30: nothing of its inside was ever run');

$remote->safe_psql('postgres', q{CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'});
server('t', { dbname => 'ascii' }, PUBLIC => \%app);
for my $text ('\xff', 'a\xe2\x82', '\xc0\x80', '\xed\xa0\x80')
{
	fails_with($local, qq{SELECT * FROM pool_config.query('t', 'select E''$text''') AS t(x text);}, '22021', 'invalid byte sequence', "sec_S34: text that is none: $text");
	my ($rc, $out, $err) = $local->psql('postgres', qq{SELECT * FROM pool_config.query('t', 'do \$x\$ begin raise exception E''bad $text text''; end \$x\$') AS t(x text)});
	like($err, qr/bad .*text/, "sec_S34: and in an error: $text");
}
fails_with($local, q{SELECT pool_config.exec('t', 'select set_config(''client_encoding'', ''GB18030'', false)');}, '08P01', 'client_encoding', 'sec_S34: another encoding ends the connection');

# an attempt at TLS that is refused sends nothing else
$proxy->tell('forget');
$proxy->tell('transcript', 'on');
server('tls', { port => $proxy->port, sslmode => 'require' }, PUBLIC => \%app);
for (1 .. 3)
{
	fails_with($local, call('tls') . ';', '08001', 'SSL', 'sec_S37: who asks for TLS does without the remote rather than without TLS');
	like($proxy->transcript, qr/^up:ssl down:answer(?: up:ssl down:answer)*$/, 'sec_S37: and tells it nothing');
}
$proxy->tell('transcript', 'off');

# --- what is local
{
	my $dir = $local->data_dir;
	is(join(' ', grep { -S } glob("$dir/* $dir/*/*")), '', 'sec_S40, sec_S41: no socket in the data directory');
	my @names = grep { !/\.s\.PGSQL\.\d+$/ } map { (split)[7] // () } grep { /pool_config|\Q$dir\E/ } split /\n/, slurp_file('/proc/net/unix');
	is(join(' ', @names), '', 'sec_S40, sec_S41: nor one with a name of ours');
	my @sockets = map {
		my $listing = scratch() . '/fds';
		$local->safe_psql('postgres', $_ . qq{COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; ls -l /proc/self/fd > $listing'});
		scalar(grep { /socket:/ } split /\n/, slurp_file($listing));
	} ('', call('slow') . ';');
	is($sockets[1], $sockets[0], 'sec_S43: programs that a session starts inherit none of its remote connections');
}

$local->safe_psql('postgres', 'CREATE DATABASE trap');
$local->safe_psql('trap', q{
	CREATE SCHEMA trap;
	CREATE FUNCTION public.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
	CREATE FUNCTION public.coalesced(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
	CREATE FUNCTION public.query(text, text) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
	CREATE FUNCTION public.same(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
	CREATE FUNCTION public.same(name, name) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
	CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = text, RIGHTARG = text);
	CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = name, RIGHTARG = name);
	CREATE OPERATOR public.|| (FUNCTION = public.same, LEFTARG = text, RIGHTARG = text);
	CREATE TABLE public.pg_class (a int);
	ALTER DATABASE trap SET search_path = public, pg_catalog});
$local->safe_psql('trap', 'CREATE EXTENSION pool_config');
$local->safe_psql('trap', sprintf(q{SELECT pool_config.create_target('t', 'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable')}, $port));
for my $sql (q{SELECT pool_config.exec('t', 'select 1')}, 'SELECT count(*) FROM pool_config.targets', 'SELECT count(*) FROM pool_config.pools',
	'SELECT count(*) FROM pool_config.connections', 'SELECT count(*) FROM pool_config.stats', q{SELECT pool_config.drop_target('t')})
{
	my ($rc, $out, $err) = $local->psql('trap', $sql);
	is($rc, 0, "sec_S44: objects of others are not met: $sql") or diag($err);
}
$local->safe_psql('postgres', 'CREATE DATABASE squatted');
$local->safe_psql('squatted', 'CREATE ROLE squatter; GRANT CREATE ON DATABASE squatted TO squatter; SET ROLE squatter; CREATE SCHEMA pool_config');
my ($rc, $out, $err) = $local->psql('squatted', 'CREATE EXTENSION pool_config');
like($err, qr/schema "pool_config" belongs to somebody/, 'sec_S44: nor is it installed into the schema of somebody else');

{
	my $silent = HostileServer->new();
	server('dead', { port => $silent->port }, PUBLIC => { user => 'u', password => 'p' });
	$proxy->tell('mode', 'silent');
	$proxy->tell('cut', 'fin');
	$proxy->tell('forget');
	my $start = time;
	my ($dump, $error);
	ok(IPC::Run::run([ 'pg_dumpall', '-h', $local->host, '-p', $local->port ], '>', \$dump, '2>', \$error), 'sec_S45: a dump with remotes that do not answer') or diag($error);
	cmp_ok(time - $start, '<', 15, 'sec_S45: does not wait for them');
	like($dump, qr/CREATE SERVER slow/, 'sec_S45: it holds the targets');
	$local->safe_psql('postgres', "SELECT count(*) FROM pool_config.$_") for qw(targets pools connections waiters workers stats histograms);
	is($proxy->count->{connections}, 0, 'sec_S45: neither a dump nor a view connects to anything');
	$proxy->clear;
}

# --- who can make the server dial, and what he learns
{
	my $silent = HostileServer->new();
	my $closed = PostgreSQL::Test::Cluster::get_free_port();
	my $address = sub { "'postgresql://u:p\@$_[0]/d?sslmode=disable&connect_timeout=2'" };

	$local->safe_psql('postgres', 'CREATE ROLE prober LOGIN');
	for my $sql ('CREATE SERVER probe FOREIGN DATA WRAPPER pool_config', "SELECT pool_config.create_target('probe', " . $address->('127.0.0.1:' . $silent->port) . ')')
	{
		fails_with($local, "SET ROLE prober; $sql;", '42501', '.', "sec_S46: who may not use the wrapper makes no target: $sql");
	}
	$local->safe_psql('postgres', 'GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO prober; GRANT CREATE ON DATABASE postgres TO prober');
	for my $where ("127.0.0.1:$closed", '127.0.0.1:' . $silent->port, 'nowhere.invalid:5432')
	{
		fails_with($local, 'SET ROLE prober; SELECT pool_config.create_target(\'probe\', ' . $address->($where) . q{, replace => true);
			SELECT pool_config.exec('probe', 'select 1');}, '08001', '.', "sec_S46: who may is told by one SQLSTATE that nobody answers: $where");
	}
	$local->safe_psql('postgres', 'DROP SERVER probe CASCADE; DROP OWNED BY prober; DROP ROLE prober');
}

# --- a password that can be searched for
{
	my $canary = join '', 'canary', map { ('a' .. 'z')[ rand 26 ] } 1 .. 24;
	my $wrong  = 'wrong' . reverse $canary;
	my @hex = map { unpack 'H*', $_ } $canary, $wrong;

	$remote->safe_psql('postgres', "SET log_statement = 'none'; CREATE ROLE keeper LOGIN PASSWORD '$canary'");
	my $remote_from = -s $remote->logfile;
	$local->safe_psql('postgres', "SET log_statement = 'none'; SELECT pool_config.create_target('kept', 'postgresql://keeper:$canary\@127.0.0.1:$port/postgres?sslmode=disable');
		SELECT pool_config.create_target('refused', 'postgresql://keeper:$wrong\@127.0.0.1:$port/postgres?sslmode=disable')");
	my $from = -s $local->logfile;
	$local->append_conf('postgresql.conf', "log_statement = 'all'\nlog_min_messages = debug5\nbacktrace_functions = 'errfinish'\nlog_error_verbosity = verbose\n");
	$local->restart;
	my $everything = '';
	for my $sql (q{SELECT pool_config.exec('kept', 'select 1')}, q{SELECT pool_config.exec('refused', 'select 1')}, q{SELECT pool_config.exec('kept', 'select 1/0')},
		q{SELECT * FROM pool_config.query('kept', 'select ''x''') AS t(a int)}, q{SELECT pool_config.diagnose('refused')}, q{SELECT * FROM pool_config.check_target('refused')},
		q{SELECT * FROM pool_config.check_target('kept')}, q{SELECT pool_config.alter_target('kept', pool_size => 3)}, q{SELECT pool_config.recycle('kept')},
		(map { "SELECT v::text FROM pool_config.$_ v" } qw(targets pools connections waiters workers stats histograms)),
		'SELECT a::text FROM pg_stat_activity a', q{SET statement_timeout = '200ms'; SELECT pool_config.exec('kept', 'select pg_sleep(9)')})
	{
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n$sql");
		$everything .= "$out\n$err\n";
	}
	ok($everything =~ /keeper/ && $everything =~ /password authentication failed/, 'sec_S09: a good and a wrong password were used');
	unlike($everything, qr/canary|yranac/, 'sec_S09: none is in a view, an error or an answer');
	unlike(slurp_file($local->logfile, $from), qr/canary|yranac/, 'sec_S09: nor in the log at its most talkative');
	unlike(slurp_file($remote->logfile, $remote_from), qr/canary|yranac/, 'sec_S09: nor in the remote\'s');
	my $titles = join "\n", map { eval { slurp_file($_) } // '' } glob('/proc/[0-9]*/cmdline');
	ok($titles =~ /postgres/ && $titles !~ /canary|yranac/, 'sec_S09: nor in the title of a process');

	# our part of the shared memory, read by a session in its own
	my $found = $local->safe_psql('postgres', qq{
		WITH base AS (SELECT ('x' || lpad(split_part(line, '-', 1), 16, '0'))::bit(64)::int8 AS address
				FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), E'\\n') line
				WHERE line LIKE '%/dev/zero (deleted)' AND line LIKE '%rw-s%' LIMIT 1),
			ours AS (SELECT pg_read_binary_file('/proc/self/mem', address + off, size) AS bytes
				FROM base, pg_shmem_allocations WHERE name = 'pool_config')
		SELECT (position(convert_to('refu' || 'sed', 'UTF8') IN bytes) > 0) || ' '
			|| (position(decode('$hex[0]', 'hex') IN bytes) > 0) || ' ' || (position(decode('$hex[1]', 'hex') IN bytes) > 0) FROM ours});
	is($found, 'true false false', 'sec_S09: nor in our shared memory, where the name of its target is');
}

is($local->safe_psql('postgres', 'SELECT count(*) FROM pool_config.workers'), 1, 'the worker lives');
unlike(slurp_file($local->logfile), qr/was terminated by signal|PANIC|TRAP/, 'nobody crashed');

done_testing();
