# What diagnose() and check_target() say, in each situation that they are for.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote', 'max_connections = 20');
my $local  = start_local('local');

sub sql      { return $local->safe_psql('postgres', $_[0]); }
sub diagnose { return sql(($_[1] // '') . "SELECT * FROM pool_config.diagnose('$_[0]')"); }
sub check    { return sql(($_[1] // '') . "SELECT step, ok, detail FROM pool_config.check_target('$_[0]')"); }

sub address { return sprintf('postgresql://%s:%s@127.0.0.1:%d/%s?sslmode=disable', @_); }

make_target($local, $remote, 'crm', pool_size => 2, max_overflow => 0);
sql('CREATE ROLE alice LOGIN; CREATE ROLE billing LOGIN; GRANT USAGE ON FOREIGN SERVER crm TO alice, billing');

# --- never used
like(diagnose('crm'), qr/^Nothing is known of the target.*check_target\('crm'\);$/, 'a target that was not used');

# --- all is well
like(check('crm'), qr/^target\|t\|.*\nrights\|t\|.*\nmapping\|t\|that of PUBLIC, with a password\nworker\|t\|runs\nconnect\|t\|.*ms\nremote\|t\|role app, database postgres, can be written to, PostgreSQL.*\ntransport\|t\|direct.*\npooler\|t\|none seen.*\nlimits\|t\|the pool may open 2 connections/,
	'check_target goes all the way');
like(diagnose('crm'), qr/^All is well with the mapping of PUBLIC: 0 of 2 connections are in use, 1 are idle/, 'all is well');
is((diagnose('crm') =~ tr/\n//), 0, 'in one sentence');

# --- exhausted
my @holders = map { start_psql($local, q{SET ROLE billing; SELECT pool_config.exec('crm', 'select pg_sleep(30)')}) } 1 .. 2;
poll_until('all in use', sub { sql(q{SELECT in_use FROM pool_config.pools WHERE target = 'crm'}) == 2 });
my $waiter = start_psql($local, q{SELECT pool_config.exec('crm', 'select 1')});
poll_until('and one waits', sub { sql(q{SELECT waiting FROM pool_config.pools WHERE target = 'crm'}) == 1 });
my $said = diagnose('crm');
like($said, qr/^2 of 2 connections with the mapping of PUBLIC are in use \(pool_size 2, max_overflow 0\), and 1 sessions wait.*alter_target\('crm', max_overflow => 10\);$/m, 'exhausted');
like($said, qr/^2 by role "billing", for a statement, the oldest for \d+ s \(pids (\d+), \d+\)\. .*pg_cancel_backend\(\1\);$/m, 'and who holds them');
my $poor = diagnose('crm', 'SET ROLE alice; ');
like($poor, qr/^2 by role "billing"/m, 'who may only use the target is told so, too');
unlike($poor, qr/pids|cancel_backend/, 'without process ids');
my ($victim) = $said =~ /pg_cancel_backend\((\d+)\)/;
sql("SELECT pg_cancel_backend($victim)");
is(finish_psql($waiter)->{out}, "SELECT 1\n", 'what it says to type helps');
sql(q{SELECT pool_config.disconnect('crm')});
finish_psql($_) for @holders;

# --- paused
sql(q{SELECT pool_config.pause('crm')});
like(diagnose('crm'), qr/^The target is paused: .*SELECT pool_config.resume\('crm'\);$/, 'paused');
like(check('crm'), qr/^paused\|f\|go on with SELECT pool_config.resume\('crm'\);$/m, 'and check_target stops there');
sql(q{SELECT pool_config.resume('crm')});

# --- a wrong password
sql(sprintf(q{SELECT pool_config.create_target('wrong', '%s')}, address('app', 'guess', $remote->port, 'postgres')));
like(check('wrong'), qr/^connect\|f\|could not connect to target "wrong": .*password authentication failed for user "app"/m, 'a wrong password');
like(diagnose('wrong'), qr/^Nothing is connected with the mapping of PUBLIC, and the remote refuses it: .*password authentication failed.*in \d+ s, or at once after: ALTER USER MAPPING FOR PUBLIC SERVER wrong OPTIONS \(SET password '...'\);$/, 'and what to alter');
sql(q{ALTER USER MAPPING FOR PUBLIC SERVER wrong OPTIONS (SET password 'app-secret')});
is(sql(q{SELECT pool_config.exec('wrong', 'select 1')}), 'SELECT 1', 'which helps');

# --- no right, no mapping
like(check('crm', 'CREATE ROLE eve; SET ROLE pg_monitor; '), qr/^rights\|f\|.*GRANT USAGE ON FOREIGN SERVER crm TO pg_monitor;$/m, 'no USAGE');
fails_with($local, q{SET ROLE eve; SELECT pool_config.diagnose('crm');}, '42501', 'permission denied', 'nothing for strangers');
fails_with($local, q{SELECT pool_config.diagnose('crn');}, '42704', 'Perhaps you meant', 'an unknown target');
sql(q{CREATE SERVER bare FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h')});
like(check('bare'), qr/^mapping\|f\|user mapping not found/m, 'no mapping');

# --- too near the limit of the remote
sql(q{SELECT pool_config.alter_target('crm', pool_size => 10, max_overflow => 30)});
sql(q{SELECT pool_config.exec('crm', 'select 1')});
like(diagnose('crm'), qr/^The pool may open 40 connections, but the remote has room for (\d+): max_connections 20, less 3 reserved.*pool_size => \1, max_overflow => 0\);$/m, 'more than the remote has room for');
like(check('crm'), qr/^limits\|f\|the pool may open 40 connections/m, 'check_target says so, too');
sql(q{SELECT pool_config.alter_target('crm', pool_size => 2, max_overflow => 0)});

# --- statements that wait for locks at the remote
$remote->safe_psql('postgres', 'CREATE TABLE locked(a int); GRANT ALL ON locked TO app');
my $locker = $remote->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE locked');
my $blocked = start_psql($local, q{SELECT pool_config.exec('crm', 'select * from locked')});
poll_until('a statement is blocked', sub { $remote->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) == 1 });
sql(q{SELECT pool_config.prewarm('crm', 2)});
like(diagnose('crm'), qr/^1 statements wait for locks at the remote\. See for what: SELECT/m, 'locks at the remote');
my ($typed) = diagnose('crm') =~ /See for what: (SELECT.*);$/m;
like(sql($typed), qr/select \* from locked/, 'what it says to type shows them');
$locker->query_safe('COMMIT');
$locker->quit;
finish_psql($blocked);

# --- a target that leads back to this very server
my $host = $local->host;
sql(sprintf(q{CREATE SERVER self FOREIGN DATA WRAPPER pool_config OPTIONS (host '%s', port '%d', dbname 'postgres');
	CREATE USER MAPPING FOR PUBLIC SERVER self OPTIONS (user '%s');
	CREATE TABLE mine(a int)}, $host, $local->port, sql('SELECT current_user')));
my $loop = start_psql($local, q{BEGIN; LOCK TABLE mine; SELECT pool_config.exec('self', 'select * from mine');});
poll_until('a call waits for itself', sub { sql(q{SELECT count(*) FROM pg_locks WHERE NOT granted}) == 1 });
$said = diagnose('self');
like($said, qr/^Process (\d+) waits for its remote statement, which is process \d+ of this very server and waits for a lock that process \1 holds: .*SELECT pg_cancel_backend\(\1\);$/m, 'a deadlock over this very server');
($victim) = $said =~ /pg_cancel_backend\((\d+)\)/;
sql("SELECT pg_cancel_backend($victim)");
like(finish_psql($loop)->{err}, qr/canceling statement/, 'what it says to type ends it');

# --- the remote is down; what lives serves on
$remote->stop('fast');
$local->psql('postgres', q{SELECT pool_config.exec('crm', 'select 1')}) for 1 .. 3;
like(diagnose('crm'), qr/^The remote is down: nothing is connected with the mapping of PUBLIC, and the last connect failed: .*refused.*check_target\('crm'\);$/m, 'a remote that is down');
like(check('crm'), qr/^connect\|f\|could not connect.*refused/m, 'check_target says so, too');
$remote->start;
sql(sprintf(q{SELECT pool_config.create_target('full', '%s', pool_size => 5)}, address('few', 'few-secret', $remote->port, 'postgres')));
$remote->safe_psql('postgres', q{CREATE ROLE few LOGIN PASSWORD 'few-secret' CONNECTION LIMIT 1});
sql(q{SELECT pool_config.exec('full', 'select 1'); SELECT pool_config.prewarm('full', 3)});
like(diagnose('full'), qr/^New connections fail \(.*no connection left.*\); the 1 that live serve on.*max_overflow => 0\);$/m, 'a remote that is full');

# --- the worker does not move
my $worker = sql('SELECT pid FROM pool_config.workers');
kill 'STOP', $worker;
poll_until('a worker that is stopped', sub { diagnose('crm') =~ /^The background worker of pool_config \(process $worker\) has not moved for \d+ s\. .*kill -CONT $worker/m }, 20);
kill 'CONT', $worker;
poll_until('moves again', sub { diagnose('crm') !~ /background worker/ });

done_testing();
