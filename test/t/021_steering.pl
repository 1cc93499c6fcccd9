# Steering a target's pools, and seeing what they do.
use strict;
use warnings;
use IO::Socket::INET;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $local  = start_local('local');

sub sql  { return $local->safe_psql('postgres', $_[0]); }
sub call { return sql(qq{SELECT * FROM pool_config.query('$_[0]', 'select pg_backend_pid()') AS t(a text)}); }
sub pool { return sql(qq{SELECT coalesce(sum($_[1]), 0) FROM pool_config.pools WHERE target = '$_[0]' AND state <> 'retired'}); }
sub numbers { return sql(qq{SELECT $_[1] FROM pool_config.stats WHERE target = '$_[0]'}); }

make_target($local, $remote, 'crm');
make_target($local, $remote, 'erp');
sql('CREATE ROLE alice LOGIN; GRANT USAGE ON FOREIGN SERVER crm TO alice');

# --- prewarm
is(sql(q{SELECT pool_config.prewarm('crm', 4)}), '4', 'prewarm opens as many as asked');
is(pool('crm', 'idle'), 4, 'and they are idle');
is(sql(q{SELECT pool_config.prewarm('crm', 2)}), '4', 'never fewer');
is(sql(q{SELECT pool_config.prewarm('crm', 400)}), '5', 'and not more than pool_size');

# --- rights and arguments
for my $call (q{pause('crm')}, q{resume('crm')}, q{recycle('crm')}, q{disconnect('crm')}, q{prewarm('crm', 1)})
{
	fails_with($local, "SET ROLE alice; SELECT pool_config.$call;", '42501', 'must be owner', "$call is for the owner");
}
fails_with($local, q{SELECT pool_config.pause('crn');}, '42704', 'Perhaps you meant the target "crm"', 'an unknown target');
fails_with($local, q{SELECT pool_config.pause('crm', -1);}, '22023', 'wait', 'no negative wait');
is(sql(q{SELECT pool_config.pause(NULL) IS NULL, pool_config.recycle(NULL) IS NULL, pool_config.disconnect(NULL) IS NULL}),
	't|t|t', 'NULL does nothing');

# --- pause and resume
my $run = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(2)')});
poll_until('a call runs', sub { pool('crm', 'in_use') == 1 });
my $start = time;
is(sql(q{SELECT pool_config.pause('crm', 0)}), 'f', 'pause says that something is in use yet');
is(sql(q{SELECT pool_config.pause('crm', 30)}), 't', 'and waits until nothing is');
cmp_ok(time - $start, '>', 1, 'for as long as the call takes');
finish_psql($run);
is($run->{out}, "SELECT 1\n", 'which is not disturbed');
is(remote_sessions($remote), 0, 'the remote has no session of ours any more');
is(sql(q{SELECT state FROM pool_config.pools WHERE target = 'crm'}), 'paused', 'the view says so');
my @waiters = map { start_psql($local, qq{SELECT pool_config.exec('crm', 'select $_')}) } 1 .. 3;
poll_until('calls wait', sub { pool('crm', 'waiting') == 3 });
is(sql(q{SELECT string_agg(place::text, ',' ORDER BY since), bool_and(pid > 0 AND waited >= '0') FROM pool_config.waiters WHERE target = 'crm'}),
	'1,2,3|t', 'and are seen in their order');
is(sql(q{SET ROLE alice; SELECT count(*), count(pid) FROM pool_config.waiters WHERE target = 'crm'}), '3|0',
	'by who may only use the target, without process ids');
fails_with($local, q{SET pool_config.pool_timeout = '200ms'; SELECT pool_config.exec('crm', 'select 1');},
	'53300', 'target "crm" is paused', 'pool_timeout ends the wait and says why');
is(remote_sessions($remote), 0, 'nobody dials meanwhile');
is(sql(q{SELECT pool_config.exec('erp', 'select 1')}), 'SELECT 1', 'other targets go on');
sql(q{SELECT pool_config.resume('crm')});
is(join('', map { finish_psql($_)->{out} } @waiters), "SELECT 1\n" x 3, 'resume serves them');

sql(q{BEGIN; SELECT pool_config.pause('crm'); ROLLBACK});
is(sql(q{SELECT state FROM pool_config.pools WHERE target = 'crm'}), 'paused', 'pause is not undone by a rollback');
sql(q{SELECT pool_config.alter_target('crm', connect_timeout => 7)});
fails_with($local, q{SET pool_config.pool_timeout = '200ms'; SELECT pool_config.exec('crm', 'select 1');},
	'53300', 'is paused', 'an altered target stays paused');
sql(q{SELECT pool_config.resume('crm')});
is(sql(q{SELECT string_agg(pool_config.pause(target)::text, ',') FROM pool_config.targets}), 'true,true', 'all targets at once');
sql(q{SELECT pool_config.resume(target) FROM pool_config.targets});
is(sql(q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', 'and back');

# --- recycle
sql(q{SELECT pool_config.prewarm('crm', 3)});
my $old = sql(q{SELECT string_agg(remote_pid::text, ',') FROM pool_config.connections WHERE target = 'crm'});
$run = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(1)')});
poll_until('a call runs', sub { pool('crm', 'in_use') == 1 });
is(sql(q{SELECT pool_config.recycle('crm')}), '3', 'recycle names the number of connections');
poll_until('idle ones are closed', sub { $remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid IN ($old)") == 1 });
finish_psql($run);
is($run->{out}, "SELECT 1\n", 'the one in use is left alone');
poll_until('and closed when it comes back', sub { $remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid IN ($old)") == 0 });

# --- disconnect
$run = start_psql($local, qq{\\set VERBOSITY verbose\nSELECT pool_config.exec('crm', 'select pg_sleep(60)');\nSELECT pool_config.exec('crm', 'select 1');});
poll_until('a call runs', sub { remote_sessions($remote, "state = 'active' AND query LIKE '%pg_sleep(60)%'") == 1 });
my $id = sql(q{SELECT id FROM pool_config.connections WHERE target = 'crm' AND state = 'in use'});
is(sql(q{SELECT pool_config.disconnect('crm', 99)}), '0', 'a connection that is not there');
is(sql(qq{SELECT pool_config.disconnect('erp', $id)}), '0', 'or of another target');
is(sql(qq{SELECT pool_config.disconnect('crm', $id)}), '1', 'disconnect ends one');
finish_psql($run);
like($run->{err}, qr/ERROR:  08006/, 'its caller is told that it was lost');
is($run->{out}, "SELECT 1\n", 'and his next call works');
poll_until('what it ran is cancelled', sub { remote_sessions($remote, "query LIKE '%pg_sleep(60)%'") == 0 });
sql(q{SELECT pool_config.prewarm('crm', 3)});
is(sql(q{SELECT pool_config.disconnect('crm')}), '3', 'disconnect ends all');
poll_until('all gone', sub { pool('crm', 'open') == 0 });

# --- numbers that only rise
sql(q{SELECT pool_config.stats_reset()});
call('crm') for 1 .. 5;
is(numbers('crm', 'leases'), '5', 'leases are counted');
is(numbers('crm', 'connects'), '1', 'connects, too');
kill 'TERM', sql('SELECT pid FROM pool_config.workers');
poll_until('a new worker', sub { sql('SELECT life FROM pool_config.workers') eq '2' });
call('crm');
sql(q{SELECT pool_config.alter_target('crm', pool_size => 3)});
call('crm');
poll_until('the old pool is gone', sub { sql(q{SELECT count(*) FROM pool_config.pools WHERE target = 'crm'}) == 1 });
is(numbers('crm', 'leases, connects'), '7|3', 'they survive the worker and the pool');
is(numbers('crm', q{closes, close_reasons->'unknown', close_reasons->'retired'}), '2|1|1', 'closes have their reasons');
is(numbers('crm', 'bytes_in > 500 AND bytes_out > 300 AND statement_seconds > 0 AND connect_seconds > 0'), 't', 'bytes and times are summed');
is(sql(q{SELECT string_agg(what || count, ' ' ORDER BY what) FROM pool_config.histograms WHERE target = 'crm' AND le = 'Infinity'}),
	'connect3 statement7 wait7', 'each is in its histogram');
is(sql(q{SELECT bool_and(ok) FROM (SELECT count >= lag(count, 1, 0::bigint) OVER (PARTITION BY target, what ORDER BY le) AS ok FROM pool_config.histograms) h}),
	't', 'whose counts rise with the bound');
sql(q{SELECT pool_config.alter_target('crm', pool_size => 1, max_overflow => 0)});
$run = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(1)')});
poll_until('a call runs', sub { pool('crm', 'in_use') == 1 });
fails_with($local, q{SET pool_config.pool_timeout = '100ms'; SELECT pool_config.exec('crm', 'select 1');}, '53300', 'pool_size 1', 'exhausted');
finish_psql($run);
is(numbers('crm', 'queued >= 1, timeouts'), 't|1', 'who had to wait, and in vain');
sql(q{SELECT pool_config.stats_reset()});
is(numbers('crm', 'leases, closes, timeouts'), '0|0|0', 'stats_reset');
is(sql('SET ROLE alice; SELECT count(*) FROM pool_config.stats'), '1', 'the numbers are for those who may use the target');

# --- the limit holds over an alteration
sql(q{SELECT pool_config.alter_target('erp', pool_size => 1, max_overflow => 0)});
$run = start_psql($local, q{SELECT pool_config.exec('erp', 'select pg_sleep(1.5)')});
poll_until('a call runs', sub { pool('erp', 'in_use') == 1 });
sql(q{SELECT pool_config.alter_target('erp', connect_timeout => 9)});
my $after = start_psql($local, q{SELECT pool_config.exec('erp', 'select 1')});
poll_until('a call of the altered target waits', sub { pool('erp', 'waiting') == 1 });
sleep 0.3;
is(sql(q{SELECT sum(open + connecting) FROM pool_config.pools WHERE target = 'erp'}), '1', 'as connections from before count');
is(finish_psql($after)->{out} . finish_psql($run)->{out}, "SELECT 1
" x 2, 'and gets its turn');

# --- a connect to where the target was before is nothing to the altered one
{
	my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "could not listen: $!";
	make_target($local, $remote, 'moved', port => $silent->sockport, pool_size => 1, max_overflow => 0, connect_timeout => 60, pool_timeout => 1);
	isnt(($local->psql('postgres', q{SELECT pool_config.exec('moved', 'select 1')}))[0], 0, 'a remote that says nothing');
	is(pool('moved', 'connecting'), '1', 'has time yet');
	sql('ALTER SERVER moved OPTIONS (SET port \'' . $remote->port . q{')});
	is(sql(q{SET pool_config.pool_timeout = '10s'; SELECT pool_config.exec('moved', 'select 1')}), 'SELECT 1', 'the corrected target does not wait for it');
}

# --- the log of connects and closes
$local->append_conf('postgresql.conf', "log_min_messages = log\npool_config.log_connections = log");
$local->reload;
poll_until('connects and closes are logged with reasons', sub {
	sql(q{SELECT pool_config.recycle('crm')});
	call('crm');
	slurp_file($local->logfile) =~ /LOG:  pool_config: connection \d+ to target "crm" opened.*LOG:  pool_config: connection \d+ to target "crm" closed: recycle/s;
});

# --- the remote sees where a session comes from
sql(sprintf(q{SELECT pool_config.create_target('named', 'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable',
	connect_args => '{"application_name": "%%d/%%u/%%t/%%p 100%%%% %%x%%"}')}, $remote->port));
my $postmaster = (split /\n/, slurp_file($local->data_dir . '/postmaster.pid'))[0];
is(sql(q{SELECT * FROM pool_config.query('named', 'select current_setting(''application_name'')') AS t(a text)}),
	"postgres/public/named/$postmaster 100% %x%", 'application_name is a pattern');

# --- a terminal shows it
make_target($local, $remote, 'a_name_of_20_letters', pool_size => 1, max_overflow => 0);
my @runs = map { start_psql($local, q{SELECT pool_config.exec('a_name_of_20_letters', 'select pg_sleep(1)')}) } 1 .. 2;
poll_until('a waiter', sub { pool('a_name_of_20_letters', 'waiting') == 1 });
my ($wide) = run_command([ 'psql', '-X', '-d', $local->connstr('postgres'), '-c', 'SELECT * FROM pool_config.pools' ]);
my ($longest) = sort { $b <=> $a } map { length } split /\n/, $wide;
like($wide, qr/\| full/, 'the state of a full pool');
cmp_ok($longest, '<=', 120, 'pools fits in 120 columns') or diag($wide);
finish_psql($_) for @runs;

is(sql('SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
done_testing();
