# Who may use which target, with which identity.
use strict;
use warnings;
use File::Spec;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local');

$remote->safe_psql('postgres', q{
	CREATE ROLE other LOGIN PASSWORD 'other-secret';
});
make_target($local, $remote, 'crm');
$local->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE boss LOGIN SUPERUSER;
});
my $whoami = q{SELECT * FROM pool_config.query('crm', 'select current_user::text') AS t(u text)};

# --- USAGE, asked for at each call
fails_with($local, "SET ROLE alice; $whoami;", '42501', 'permission denied for foreign server crm',
	'no call without USAGE');
$local->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER crm TO alice, bob');
sql_ok($local, "SET ROLE alice; $whoami", 'app', 'a call with USAGE and the mapping of PUBLIC');
my ($rc, $out, $err) = $local->psql('postgres',
	"SET ROLE alice;\n$whoami;\nRESET ROLE;\nREVOKE USAGE ON FOREIGN SERVER crm FROM alice;\nSET ROLE alice;\n$whoami;",
	on_error_stop => 0);
like($err, qr/permission denied/, 'USAGE that was taken away ends at the next call of the same session');
$local->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER crm TO alice');

# --- the mapping of the current user
$local->safe_psql('postgres', q{
	CREATE USER MAPPING FOR bob SERVER crm OPTIONS (user 'other', password 'other-secret');
	CREATE FUNCTION as_bob() RETURNS text LANGUAGE sql SECURITY DEFINER
		AS $$ SELECT * FROM pool_config.query('crm', 'select current_user::text') AS t(u text) $$;
	ALTER FUNCTION as_bob() OWNER TO bob;
});
sql_ok($local, "SET ROLE bob; $whoami", 'other', "SET ROLE brings the role's own mapping");
sql_ok($local, "SET ROLE alice; SELECT as_bob(); $whoami", "other\napp",
	"SECURITY DEFINER uses the owner's mapping, its caller his own again");
sql_ok($local, q{SELECT count(DISTINCT remote_pid), count(DISTINCT mapping) FROM pool_config.connections WHERE target = 'crm'},
	'2|2', 'connections of two mappings are never exchanged');
$local->safe_psql('postgres', q{
	CREATE SERVER nobody FOREIGN DATA WRAPPER pool_config OPTIONS (host '127.0.0.1');
	GRANT USAGE ON FOREIGN SERVER nobody TO PUBLIC;
});
fails_with($local, q{SELECT pool_config.exec('nobody', 'select 1');}, '42704', 'user mapping not found',
	'no mapping, no identity');

# --- same remote user, wrong password in the second mapping
$local->safe_psql('postgres', q{
	CREATE ROLE mallory LOGIN;
	GRANT USAGE ON FOREIGN SERVER crm TO mallory;
	CREATE USER MAPPING FOR mallory SERVER crm OPTIONS (user 'app', password 'guessed');
});
fails_with($local, "SET ROLE mallory; $whoami;", '08001', 'password authentication failed',
	'an idle connection of another mapping is no way in');

# --- the password rules for those who are not superuser
$local->safe_psql('postgres', sprintf(q{
	CREATE SERVER nopw FOREIGN DATA WRAPPER pool_config OPTIONS (host '127.0.0.1', port '%d', dbname 'postgres', sslmode 'disable');
	CREATE USER MAPPING FOR PUBLIC SERVER nopw OPTIONS (user 'trusted');
	CREATE SERVER trusting FOREIGN DATA WRAPPER pool_config OPTIONS (host '127.0.0.1', port '%d', dbname 'postgres', sslmode 'disable');
	CREATE USER MAPPING FOR PUBLIC SERVER trusting OPTIONS (user 'trusted', password 'app-secret');
	GRANT USAGE ON FOREIGN SERVER nopw, trusting TO PUBLIC;
}, $remote->port, $remote->port));
my $call = q{SELECT * FROM pool_config.query('%s', 'select 1') AS t(a int)};
fails_with($local, 'SET ROLE alice; ' . sprintf($call, 'nopw') . ';', '2F003', 'must provide a password',
	'a mapping without password is for superusers');
fails_with($local, 'SET ROLE alice; ' . sprintf($call, 'trusting') . ';', '2F003', 'does not request a password',
	'the remote must have asked for the password');
poll_until('the connection made for the refused call is closed', sub {
	$remote->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'trusted'}) == 0;
});
sql_ok($local, sprintf($call, 'trusting'), '1', 'a superuser may');
fails_with($local, 'SET ROLE alice; ' . sprintf($call, 'trusting') . ';', '2F003', 'does not request a password',
	'and the idle connection he leaves is not for others');
fails_with($local, "SET ROLE alice; CREATE USER MAPPING FOR alice SERVER nopw OPTIONS (user 'trusted', password_required 'false');",
	'42501', 'superuser-only', 'nobody waives the rule for himself');

# --- of the server's own account only what somebody trusted with it names
my $files = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
append_to_file("$files/pass", sprintf("127.0.0.1:%d:postgres:app:app-secret\n", $remote->port));
chmod 0600, "$files/pass";
$local->safe_psql('postgres', q{
	CREATE ROLE carol LOGIN;
	GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO alice, carol;
	GRANT pg_read_server_files TO carol;
});
for my $option ('passfile', 'service', 'sslrootcert', 'krbsrvname')
{
	fails_with($local, "SET ROLE alice; CREATE SERVER files FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', $option '$files/pass');",
		'42501', "permission denied to set option \"$option\"", "$option is not for everybody");
}
$local->safe_psql('postgres', sprintf(q{
	SET ROLE carol;
	CREATE SERVER files FOREIGN DATA WRAPPER pool_config OPTIONS (host '127.0.0.1', port '%d', dbname 'postgres', sslmode 'disable', passfile '%s/pass');
	CREATE USER MAPPING FOR PUBLIC SERVER files OPTIONS (user 'app');
	GRANT USAGE ON FOREIGN SERVER files TO PUBLIC;
}, $remote->port, $files));
sql_ok($local, sprintf($call, 'files'), '1', 'the password of a file that a member of pg_read_server_files named serves a superuser');
fails_with($local, "SET ROLE $_; " . sprintf($call, 'files') . ';', '2F003', 'must provide a password',
	"and not $_") for qw(alice carol);
fails_with($local, q{REVOKE pg_read_server_files FROM carol; } . sprintf($call, 'files') . ';',
	'42501', 'needs a superuser', 'and not when the owner of the target is no longer trusted');

# --- a change that changes nothing is for the owner, too
fails_with($local, "SET ROLE bob; SELECT pool_config.$_;", '42501', 'must be owner of foreign server', "$_ of somebody else's target")
  for q{alter_target('crm')}, q{alter_target('crm', pool_size => NULL, role => 'bob')}, q{reset_target('crm')}, q{reset_target('crm', 'pool_size')};
sql_ok($local, q{SET ROLE bob; SELECT pool_config.alter_target('crm', password => 'x', role => 'bob') <> ''}, 't', 'but a mapping of his own everybody may make');
$local->safe_psql('postgres', 'DROP USER MAPPING FOR bob SERVER crm');

# --- secrets
my $canary = 'canary-4711';
for my $bad ("postgresql://u:$canary\@x\@h/db", "postgresql://u:$canary/x\@h/db", "mysql://u:$canary\@h/db",
	"postgresql://u:$canary%zz\@h/db", "host=h password=$canary sslmod=x", "postgresql://u:p\@h:$canary/db")
{
	my ($rc, $out, $err) = $local->psql('postgres', "SELECT pool_config.create_target('t', '$bad')", on_error_stop => 0);
	my @ours = grep { /ERROR|DETAIL|HINT/ } split /\n/, $err;
	ok(@ours && !grep({ /canary/ } @ours), 'a bad address is not repeated');
}
$local->psql('postgres', "SELECT pool_config.create_target('t', 'host=h password=$canary', pool_size => 0)");
$local->psql('postgres', "SELECT pool_config.create_target('t', 'host=h', password => '$canary', connect_args => '[]')");
unlike(slurp_file($local->logfile), qr/STATEMENT: [^\n]*$canary/, 'nor is the statement of such an error logged');
is($local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.targets t WHERE t::text LIKE '%secret%'}), 0,
	'no password in the view of targets');

done_testing();
