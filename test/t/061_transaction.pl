# join_transaction: a remote transaction that goes with the local one.
# Both transports.
use strict;
use warnings;
use FaultProxy;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $remote = start_remote('remote', 'max_prepared_transactions = 5');
my $second = start_remote('second');
my $local  = start_local('local', "listen_addresses = '127.0.0.1'", "password_encryption = 'scram-sha-256'",
	'max_prepared_transactions = 5');
my $proxy = FaultProxy->new($remote->port);

make_target($local, $remote, 'a', pool_size => 2, max_overflow => 2);
make_target($local, $second, 'b', pool_size => 2, max_overflow => 2);
make_target($local, $remote, 'one', pool_size => 1, max_overflow => 0);
make_target($local, $remote, 'frail', port => $proxy->port, sslmode => 'disable', pool_size => 1);
$local->safe_psql('postgres', q{
	CREATE TABLE here (i int PRIMARY KEY);
	CREATE ROLE alice LOGIN;
	GRANT USAGE ON FOREIGN SERVER a TO alice;
	CREATE FUNCTION put(i int, target text = 'a') RETURNS void LANGUAGE sql AS $$
		SELECT pool_config.exec(target, 'insert into t values ($1)', i); $$;
	CREATE FUNCTION put_here(i int) RETURNS void LANGUAGE sql AS $$INSERT INTO here VALUES (i)$$});
for my $node ($remote, $second)
{
	$node->safe_psql('postgres', q{
		CREATE TABLE t (i int PRIMARY KEY);
		CREATE TABLE child (i int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
		GRANT ALL ON t, child TO app});
}

my $s = open_psql($local);

# What is in t there, and here.
sub rows
{
	my ($node, $table) = @_;

	$table ||= 't';
	return $node->safe_psql('postgres', "SELECT coalesce(string_agg(i::text, ' ' ORDER BY i), '') FROM $table");
}

sub here { return rows($local, 'here') }

sub wipe
{
	$_->safe_psql('postgres', 'TRUNCATE t, child') for $remote, $second;
	$local->safe_psql('postgres', 'TRUNCATE here');
}

sub at_rest
{
	my ($what) = @_;

	poll_until("$what: nothing is held", sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections WHERE leased_by IS NOT NULL}) eq '0' });
	poll_until("$what: no transaction is open", sub { open_transactions() == 0 });
}

sub open_transactions
{
	my $n = 0;

	$n += remote_sessions($_, "state LIKE 'idle in%'") for $remote, $second;
	return $n;
}

sub connects
{
	my ($target) = @_;

	return $local->safe_psql('postgres', "SELECT coalesce(sum(connects), 0) FROM pool_config.stats WHERE target = '$target'");
}

my $join = q{SELECT pool_config.join_transaction};

# --- commit and rollback
{
	talk($s, 'BEGIN');
	is(talk($s, "$join('a')"), '', 'join');
	talk($s, "SELECT put(1)");
	is($local->safe_psql('postgres', q{SELECT held_by FROM pool_config.connections WHERE leased_by IS NOT NULL}), 'transaction', 'the view says what holds it');
	is(rows($remote), '', 'nothing is committed yet');
	is(talk($s, q{SELECT * FROM pool_config.query('a', 'select i from t') AS t(i int)}), '1', '... and is seen inside');
	is(talk($s, "$join('a')"), '', 'once more is the same');
	like(talk($s, "$join('a', 'serializable')"), qr/25001.*in another way/s, '... unless it is another');
	talk($s, 'ROLLBACK');
	at_rest('a rollback');
	is(rows($remote), '', 'a rollback takes it back');
	my $connects = connects('a');
	for my $i (1 .. 5)
	{
		talk($s, "BEGIN; $join('a'); SELECT put($i)");
		talk($s, $i % 2 ? 'ROLLBACK' : 'COMMIT');
	}
	is(rows($remote), '2 4', 'what is committed here is committed there');
	is(connects('a'), $connects, '... all over one connection');
	at_rest('commits and rollbacks');
	talk($s, "BEGIN; $join('a'); SELECT put(6)");
	like(talk($s, 'SELECT 1/0'), qr/22012/, 'a local error');
	talk($s, 'COMMIT');
	is(rows($remote), '2 4', '... takes it back');
	is($local->safe_psql('postgres', "$join('a'); SELECT put(7)"), "\n", 'in transactions of one statement there is nothing to join');
	like(($local->psql('postgres', "BEGIN; $join('a'); COMMIT"))[2], qr/WARNING.*joined transaction on target "a" ran nothing/, 'one that ran nothing is told');
	is(connects('a'), $connects, 'one connection was enough for all');

	# who comes next after a rollback, another session too
	talk($s, "BEGIN; $join('one'); SELECT put(8, 'one'); ROLLBACK");
	is($local->safe_psql('postgres', q{SELECT * FROM pool_config.query('one', 'select count(*)::int from t where i = 8') AS t(i int)}), '0', 'the next session finds it rolled back');
	talk($s, "BEGIN; $join('one'); SELECT put(8, 'one'); ROLLBACK");
	poll_until('... and so does the worker', sub {
		remote_sessions($remote, "query = 'DISCARD ALL'") >= 1 });
	is($local->safe_psql('postgres', q{SELECT close_reasons FROM pool_config.stats WHERE target = 'one'}), '{}', 'no connection was lost by it');
	talk($s, "BEGIN; $join('one'); SELECT pool_config.exec('one', \$\$set local timezone = 'UTC'; set my.own = 1\$\$); ROLLBACK");
	is(talk($s, q{SELECT * FROM pool_config.query('one', $$select coalesce(current_setting('my.own', true), '')$$) AS t(x text)}), '', 'what was set is undone, too');

	# serializable, read only
	talk($s, "BEGIN; $join('a', 'repeatable READ', true)");
	is(talk($s, q{SELECT * FROM pool_config.query('a', $$select current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only')$$) AS t(x text)}), 'repeatable read on', 'isolation and read only are passed');
	like(talk($s, 'SELECT put(1)'), qr/25006/, '... and hold');
	talk($s, 'ROLLBACK');
	like(talk($s, "$join('a', 'chaos')"), qr/22023.*read committed/s, 'an unknown level');
	wipe();
}

# --- savepoints
{
	my $block = q{DO $$
		BEGIN
			PERFORM pool_config.join_transaction('a');
			%s
		END $$};
	my $run = sub { talk($s, sprintf($block, $_[0])) };

	is($run->(q{
		PERFORM put(1);
		BEGIN PERFORM put(2); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
		BEGIN PERFORM put(3); EXCEPTION WHEN division_by_zero THEN NULL; END;
		BEGIN PERFORM put(1); EXCEPTION WHEN unique_violation THEN PERFORM put(4); END;}), '', 'blocks with EXCEPTION');
	is(rows($remote), '1 3 4', '... undo what they should, and no more');
	wipe();
	$run->(q{
		BEGIN
			BEGIN
				BEGIN PERFORM put(1); EXCEPTION WHEN division_by_zero THEN NULL; END;
				PERFORM put(2);
				BEGIN PERFORM put(3); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
			EXCEPTION WHEN unique_violation THEN NULL; END;
			PERFORM put(4);
			BEGIN PERFORM put(5); EXCEPTION WHEN unique_violation THEN NULL; END;
			RAISE no_data_found;
		EXCEPTION WHEN no_data_found THEN
			PERFORM put(6);
		END;
		BEGIN
			BEGIN PERFORM put(7); EXCEPTION WHEN division_by_zero THEN NULL; END;
		EXCEPTION WHEN unique_violation THEN NULL; END;});
	is(rows($remote), '6 7', 'an outer level undoes the inner ones');
	wipe();
	$run->(q{
		FOR i IN 1 .. 200 LOOP
			BEGIN
				PERFORM put(i);
				IF i % 3 = 0 THEN RAISE division_by_zero; END IF;
				BEGIN PERFORM put(1000 + i); PERFORM put(1000 + i); EXCEPTION WHEN unique_violation THEN NULL; END;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		END LOOP;});
	is(rows($remote), join(' ', grep { $_ % 3 } 1 .. 200), 'two hundred of them');
	wipe();

	# the last one is undone with the COMMIT
	$run->(q{
		PERFORM put(1);
		BEGIN PERFORM put(2); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;});
	is(rows($remote), '1', 'a rollback that nothing follows');
	wipe();

	# joined within a subtransaction, and SQL's own savepoints
	talk($s, "BEGIN; SAVEPOINT s; $join('a'); SELECT put(1); ROLLBACK TO s; SELECT put(2); SAVEPOINT t; SELECT put(3)");
	like(talk($s, 'SELECT put(2)'), qr/23505/, 'an error at the remote');
	talk($s, 'ROLLBACK TO t; SELECT put(4); RELEASE t; COMMIT');
	is(rows($remote), '2 4', 'savepoints of SQL');
	wipe();
	talk($s, "BEGIN; $join('a'); SAVEPOINT s1; SAVEPOINT s2; SAVEPOINT s3; SELECT put(1); RELEASE s2; SELECT put(2); ROLLBACK TO s1; SELECT put(3); COMMIT");
	is(rows($remote), '3', 'one savepoint stands for several');
	wipe();

	# a random walk, against a local table as the judge
	srand(42);
	for my $walk (1 .. 8)
	{
		my @stack;
		my $i = 0;
		my @sql = ('BEGIN', "$join('a')");
		for (1 .. 60)
		{
			my $die = int rand 10;
			if    ($die < 4)            { $i++; push @sql, "SELECT put($i)", "SELECT put_here($i)"; }
			elsif ($die < 6)            { push @stack, 's' . (++$i); push @sql, "SAVEPOINT $stack[-1]"; }
			elsif ($die < 8 && @stack)  { my $at = int rand @stack; push @sql, "RELEASE $stack[$at]"; splice @stack, $at; }
			elsif (@stack)              { my $at = int rand @stack; push @sql, "ROLLBACK TO $stack[$at]"; splice @stack, $at + 1; }
		}
		talk($s, join('; ', @sql, 'COMMIT'));
		my $here = $local->safe_psql('postgres', q{SELECT coalesce(string_agg(i::text, ' ' ORDER BY i), '') FROM here});
		is(rows($remote), $here, "walk $walk: the same there as here ($here)");
		wipe();
	}
	at_rest('savepoints');
}

# --- errors and losses under way
{
	# a call that is lost, and caught: the commit cannot be had
	talk($s, q{SET statement_timeout = 0});
	like(talk($s, q{BEGIN; SELECT pool_config.join_transaction('a'); SELECT put(1);
		DO $$ BEGIN
			PERFORM * FROM pool_config.query('a', 'select ''x'' from generate_series(1, 100000)') AS t(i int);
		EXCEPTION WHEN invalid_text_representation THEN RAISE NOTICE 'caught'; END $$}), qr/caught/, 'a call fails half-way');
	like(talk($s, 'SAVEPOINT s; SELECT put(2)'), qr/08006.*connection of the joined transaction.*has to be rolled back/s, '... the transaction is lost with its connection');
	like(talk($s, 'ROLLBACK TO s; COMMIT'), qr/08006/, '... and does not commit');
	is(rows($remote), '', '... nor did anything');
	talk($s, 'ROLLBACK');

	# lost while the local side does other things
	talk($s, "BEGIN; $join('a'); $join('b'); SELECT put(1), put(1, 'b')");
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'});
	poll_until('its end was noticed', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections WHERE target = 'a' AND leased_by IS NOT NULL}) eq '0' });
	like(talk($s, 'COMMIT'), qr/08006.*"a" is lost.*closed while it was not in use/s, 'a remote that is gone before the commit');
	is(rows($remote) . '/' . rows($second), '/', '... keeps the other from it, too');
	at_rest('a lost remote');

	# statements that end the transaction
	for my $end ('commit', 'rollback', 'commit; begin', 'rollback; begin', 'commit and chain', q{prepare transaction 'x'})
	{
		talk($s, "BEGIN; $join('a'); SELECT put(1)");
		like(talk($s, qq{SAVEPOINT s; SELECT pool_config.exec('a', \$\$$end\$\$)}), qr/2D000.*joined to the local transaction/s, "\"$end\" in a joined transaction");
		like(talk($s, 'ROLLBACK TO s; SELECT put(2)'), qr/2D000/, '... every further call');
		like(talk($s, 'ROLLBACK TO s; COMMIT'), qr/2D000/, '... and the commit are refused');
		$remote->safe_psql('postgres', "ROLLBACK PREPARED 'x'") if $end =~ /prepare/;
		wipe();
	}
	at_rest('ended transactions');

	# cancelled
	talk($s, "BEGIN; $join('a'); SELECT put(1); SET LOCAL statement_timeout = '200ms'");
	like(talk($s, q{SELECT pool_config.exec('a', 'select pg_sleep(60)')}), qr/57014/, 'a cancelled statement');
	talk($s, 'COMMIT');
	at_rest('a cancel');
	is(rows($remote), '', '... takes all back');

	# the session ends
	my $t = open_psql($local);
	talk($t, "BEGIN; $join('a'); SELECT put(1)");
	$local->safe_psql('postgres', q{SELECT pg_terminate_backend(leased_by) FROM pool_config.connections WHERE held_by = 'transaction'});
	at_rest('a session that is terminated');
	close_psql($t);
	$t = open_psql($local);
	talk($t, "BEGIN; $join('a'); SELECT put(1)");
	close_psql($t);
	at_rest('a session that ends');
	is(rows($remote), '', 'sessions that end take all back');

	# PREPARE TRANSACTION
	talk($s, "BEGIN; $join('a'); SELECT put(1)");
	like(talk($s, q{PREPARE TRANSACTION 'p'}), qr/0A000.*target "a" is joined.*Use COMMIT/s, 'PREPARE TRANSACTION is refused');
	is(rows($remote), '', '... and rolls back');
	is(talk($s, q{BEGIN; SELECT 1; PREPARE TRANSACTION 'p'}), "1", '... others may');
	talk($s, q{COMMIT PREPARED 'p'});
	at_rest('PREPARE TRANSACTION');
}

# --- the commit
{
	# refused by a remote
	talk($s, "BEGIN; $join('a'); SELECT pool_config.exec('a', 'insert into child values (77)'); INSERT INTO here VALUES (1)");
	like(talk($s, 'COMMIT'), qr/23503.*remote statement on target "a"/s, 'a constraint that fails at COMMIT');
	is($local->safe_psql('postgres', 'SELECT count(*) FROM here'), '0', '... rolls back here');
	at_rest('a refused commit');

	# in part
	talk($s, "BEGIN; $join('b'); $join('a'); SELECT put(1, 'b'), pool_config.exec('a', 'insert into child values (77)'); INSERT INTO here VALUES (1)");
	like(talk($s, 'COMMIT'), qr/08007.*committed in part.*foreign key.*"a": rolled back.*repair/s, 'one commits, the other does not: told, and not as something to repeat');
	is(rows($second) . '/' . $local->safe_psql('postgres', 'SELECT count(*) FROM here'), '1/0', '... as it was told');
	wipe();

	# a deferred trigger of ours comes before, and can stop it all
	$local->safe_psql('postgres', q{
		CREATE TABLE watched (i int);
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'P0099'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()});
	talk($s, "BEGIN; $join('a'); SELECT put(1); INSERT INTO watched VALUES (1)");
	like(talk($s, 'COMMIT'), qr/P0099/, 'a deferred constraint of ours');
	is(rows($remote), '', '... comes before the COMMIT there');
	at_rest('a deferred constraint');

	# the answer is lost: it was committed, or not
	for my $case ([ 'all', '1' ], [ 0, '' ])
	{
		my ($bytes, $there) = @$case;
		talk($s, "BEGIN; $join('frail'); $join('b'); SELECT put(1, 'frail'), put(1, 'b'); INSERT INTO here VALUES (1)");
		my $rule = $proxy->rule("up match COMMIT cut fin $bytes");
		like(talk($s, 'COMMIT'), qr/08007.*not known whether.*"frail" was committed.*"frail": not known.*"b": committed|08007.*not known whether.*"frail".*"b": committed.*"frail": not known/s, "the answer to COMMIT is lost ($bytes)");
		is($proxy->fired($rule), 1, '... by the fault');
		poll_until('... the remote has done its part', sub { rows($remote) eq $there });
		is(rows($second) . '/' . $local->safe_psql('postgres', 'SELECT count(*) FROM here'), '1/0', '... and so have the others');
		$proxy->clear;
		wipe();
		at_rest('a lost COMMIT');
	}

	# a remote that rolls back instead
	talk($s, "BEGIN; $join('frail'); SELECT put(1, 'frail'); INSERT INTO here VALUES (1)");
	my $rule = $proxy->rule('up match COMMIT replace ' . unpack('H*', pack('aNZ*', 'Q', 13, 'ROLLBACK')));
	like(talk($s, 'COMMIT'), qr/40000.*rolled back instead of committed/s, 'a COMMIT that does not commit');
	is($proxy->fired($rule), 1, '... by the fault');
	is($local->safe_psql('postgres', 'SELECT count(*) FROM here'), '0', '... rolls back here');
	$proxy->clear;
	at_rest('a COMMIT that does not commit');

	# we go away while it is answered
	$proxy->rule('down match COMMIT hold');
	talk($s, "BEGIN; $join('frail'); SELECT put(1, 'frail'); SET LOCAL statement_timeout = '500ms'");
	like(talk($s, 'COMMIT'), qr/08007.*statement timeout.*not known/s, 'a time-out while COMMIT is answered');
	$proxy->clear;
	$proxy->tell('release');
	at_rest('a COMMIT that took too long');
	wipe();
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('frail', settings => '{"command_timeout": "500ms"}')});
	$proxy->rule('down match COMMIT hold');
	talk($s, "BEGIN; $join('frail'); SELECT put(1, 'frail')");
	like(talk($s, 'COMMIT'), qr/08007.*command_timeout/s, '... command_timeout');
	$proxy->clear;
	$proxy->tell('release');
	$local->safe_psql('postgres', q{SELECT pool_config.reset_target('frail', 'command_timeout')});
	at_rest('another one');
	wipe();

	# the COMMITs are under way together
	my $slow = FaultProxy->new($remote->port);
	my $slower = FaultProxy->new($second->port);
	make_target($local, $remote, 'slow', port => $slow->port, sslmode => 'disable');
	make_target($local, $second, 'slower', port => $slower->port, sslmode => 'disable');
	talk($s, "BEGIN; $join('slow'); $join('slower'); SELECT put(1, 'slow'), put(1, 'slower')");
	$_->tell('delay', 'down 700') for $slow, $slower;
	my $started = time;
	is(talk($s, 'COMMIT'), '', 'two slow remotes');
	my $took = time - $started;
	cmp_ok($took, '>', 0.6, '... are waited for');
	cmp_ok($took, '<', 1.3, '... at the same time');
	wipe();
}

# --- with an acquired connection
{
	talk($s, q{SELECT pool_config.acquire('one'); SELECT pool_config.exec('one', 'create temp table mine (i int)'); SELECT pool_config.exec('one', 'listen news')});
	talk($s, "BEGIN; $join('one'); SELECT put(1, 'one'); SELECT pool_config.exec('one', 'insert into mine values (1)')");
	is($local->safe_psql('postgres', q{SELECT held_by FROM pool_config.connections WHERE target = 'one'}), 'transaction', 'an acquired connection joins');
	$remote->safe_psql('postgres', q{SELECT pg_notify('news', i::text) FROM generate_series(1, 500) AS i});
	talk($s, 'ROLLBACK');
	is($local->safe_psql('postgres', q{SELECT held_by FROM pool_config.connections WHERE target = 'one'}), 'acquire', '... and stays acquired');
	poll_until('... but not in a transaction', sub { open_transactions() == 0 });
	is(talk($s, q{SELECT * FROM pool_config.query('one', 'select count(*)::int from mine') AS t(i int)}), '0', '... with what lives there');
	is(talk($s, q{SELECT count(*) FROM pool_config.notifications('one', 1)}), '500', '... and what came meanwhile');
	talk($s, "BEGIN; $join('one'); SELECT put(2, 'one')");
	is(talk($s, q{SELECT pool_config.release('one')}), 't', 'released within the transaction');
	talk($s, 'COMMIT');
	is(rows($remote), '2', '... which goes on to its end');
	at_rest('then it is back');
	talk($s, "BEGIN; $join('one'); SELECT pool_config.acquire('one'); SELECT pool_config.exec('one', 'set my.own = 3'); COMMIT");
	is(talk($s, q{SELECT * FROM pool_config.query('one', 'show my.own') AS t(x text)}), '3', 'acquired within the transaction');
	talk($s, q{SELECT pool_config.exec('one', 'begin')});
	like(talk($s, "$join('one')"), qr/25001.*is open/s, 'one transaction at a time');
	like(talk($s, q{SELECT pool_config.release('one')}), qr/WARNING.*rolled back/s, '... back to the pool');
	talk($s, "BEGIN; $join('one'); SELECT put(9, 'one'); SELECT pool_config.acquire('one'); ROLLBACK; SELECT pool_config.release('one')");
	is($local->safe_psql('postgres', q{SELECT * FROM pool_config.query('one', 'select count(*)::int from t where i = 9') AS t(i int)}), '0', 'released with the answer of its ROLLBACK unread');
	wipe();
	at_rest('with an acquired connection');
}

# --- roles, queues, poolers
{
	$local->safe_psql('postgres', q{CREATE FUNCTION as_owner() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$SELECT pool_config.exec('a', 'insert into t values (50)')$$});
	my $alice = open_psql($local, user => 'alice');
	talk($alice, "BEGIN; $join('a'); SELECT pool_config.exec('a', 'insert into t values (51)'); SELECT as_owner(); ROLLBACK");
	is(rows($remote), '50', 'another role is not part of it');
	talk($alice, "BEGIN; $join('a'); SELECT pool_config.exec('a', 'insert into t values (52)')");
	$local->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER a FROM alice');
	like(talk($alice, q{SELECT pool_config.exec('a', 'insert into t values (53)')}), qr/42501/, 'rights are checked at each call');
	talk($alice, 'ROLLBACK');
	close_psql($alice);
	wipe();

	my @runs = run_together($local, map { my $i = $_; join "\n", map { my $n = 100 * $i + $_; "BEGIN; $join('a'); SELECT put($n); INSERT INTO here VALUES ($n); " . ($n % 2 ? 'COMMIT' : 'ROLLBACK') . ';' } 1 .. 20 } 1 .. 10);
	is(scalar(grep { $_->{err} eq '' } @runs), 10, 'many sessions join');
	is(rows($remote), $local->safe_psql('postgres', q{SELECT string_agg(i::text, ' ' ORDER BY i) FROM here}), '... and have the same there as here');
	is($local->safe_psql('postgres', 'SELECT count(*) FROM here'), '100', '... each of them');
	at_rest('many sessions');
	wipe();

	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('a', settings => '{"pooler": "transaction"}')});
	talk($s, "BEGIN; $join('a'); SELECT put(1); SELECT put(2); COMMIT");
	is(rows($remote), '1 2', 'joined behind a pooler between transactions');
	wipe();
}

# --- what is lost stays lost, whatever else is done to the connection
for my $told (0, 1)
{
	talk($s, q{SELECT pool_config.acquire('one')});
	talk($s, "BEGIN; $join('one'); SELECT put(1, 'one'); SELECT put_here(1)");
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'});
	poll_until('its end was noticed', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections WHERE target = 'one' AND leased_by IS NOT NULL}) eq '0' });
	talk($s, q{DO $$BEGIN PERFORM put(2, 'one'); EXCEPTION WHEN connection_failure THEN NULL; END$$}) if $told;
	is(talk($s, q{SELECT pool_config.release('one')}), 'f', 'release() of a joined transaction that is lost');
	like(talk($s, 'COMMIT'), qr/08006.*joined transaction on target "one" is lost/s, "... does not let the local one commit (told: $told)");
	is(here() . rows($remote), '', '... nothing is committed');
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... and the next call is as ever');
	at_rest('lost and released');
}

# --- a transaction that is another one
for my $end ('rollback and chain', 'ABORT /* work */ AND CHAIN', 'commit and chain', 'rollback; begin')
{
	talk($s, "BEGIN; $join('one'); SELECT put(1, 'one'); SELECT put_here(1)");
	like(talk($s, "SELECT pool_config.exec('one', '$end')"), qr/2D000/, "$end: an error");
	like(talk($s, 'COMMIT'), qr/^(?!.*COMMIT)/s, '... which fails the local transaction');
	is(here(), '', '... nothing is committed here');
	wipe();
}
talk($s, "BEGIN; $join('one'); SELECT put(1, 'one'); SELECT pool_config.exec('one', 'savepoint chain')");
is(talk($s, q{SELECT pool_config.exec('one', 'rollback to savepoint chain')}), 'ROLLBACK', 'a savepoint of any name');
talk($s, 'COMMIT');
is(rows($remote), '1', '... does no harm');
wipe();

# --- a notification that comes before the first statement is answered
for my $joined (0, 1)
{
	talk($s, q{SELECT pool_config.acquire('frail'); SELECT pool_config.exec('frail', 'listen news')});
	talk($s, 'BEGIN');
	talk($s, "$join('frail')") if $joined;
	my $down = $proxy->count->{down};
	my $held = $proxy->rule('up message 1 hold');
	say_to($s, q{SELECT put(1, 'frail')});
	poll_until('a statement is on its way', sub { $proxy->fired($held) });
	$remote->safe_psql('postgres', q{NOTIFY news, 'x'});
	poll_until('a notification comes first', sub { $proxy->count->{down} > $down });
	$proxy->tell('release');
	talk($s, 'COMMIT');
	is(talk($s, q{SELECT count(*) FROM pool_config.notifications('frail', 5)}), '1', "... and is kept (joined: $joined)");
	talk($s, q{SELECT pool_config.release('frail')});
	$proxy->clear;
	wipe();
}

# --- the remote's last words come right behind its answer
{
	my $fatal = "SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0";
	my $hex = unpack('H*', pack('aNa', 'Z', 5, 'I') . pack('aN', 'E', 4 + length $fatal) . $fatal);

	talk($s, "BEGIN; $join('frail'); SELECT put(1, 'frail'); SELECT put_here(1)");
	my $rule = $proxy->rule("down type Z 1 replace $hex");
	is(talk($s, 'COMMIT'), '', 'a COMMIT that was answered, and a farewell');
	is($proxy->fired($rule), '1', '... in one piece');
	$proxy->clear;
	is(here() . ' ' . rows($remote), '1 1', '... is committed here and there');
	at_rest('a farewell');
	talk($s, q{SELECT pool_config.acquire('frail'); SELECT pool_config.exec('frail', 'select 1')});
	$proxy->rule("down type Z 1 replace $hex");
	is(talk($s, q{SELECT pool_config.exec('frail', 'select 1')}), 'SELECT 1', 'so is a statement on an acquired connection');
	$proxy->clear;
	like(talk($s, q{SELECT pool_config.exec('frail', 'select 1')}), qr/08006.*not run/s, '... which is lost for the next');
	talk($s, q{SELECT pool_config.release('frail')});
	wipe();
}

# --- the README's recipe: a row that stays, whatever becomes of the transaction
{
	unlink $local->data_dir . '/pg_hba.conf';
	$local->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
	$local->reload;
	my $recipe = PostgreSQL::Test::Utils::slurp_file("$FindBin::Bin/../../README.md") =~ /^(CREATE ROLE auditor .*?)^```/ms ? $1 : die 'no recipe';
	$recipe =~ s{127\.0\.0\.1:5432/shop\?sslmode=disable}{'127.0.0.1:' . $local->port . '/postgres?sslmode=disable'}e or die 'no address';
	$local->safe_psql('postgres', $recipe);
	$local->safe_psql('postgres', q{CREATE ROLE clerk LOGIN; GRANT EXECUTE ON FUNCTION audit(text) TO clerk});
	my $clerk = open_psql($local, user => 'clerk');
	talk($clerk, q{BEGIN; SELECT audit('tried'); ROLLBACK});
	is($local->safe_psql('postgres', 'SELECT who, what FROM audit'), 'clerk|tried', 'an autonomous row survives the rollback');
	like(talk($clerk, q{SELECT pool_config.exec('audit', 'delete from audit')}), qr/42501/, '... and is written in one way only');
	talk($s, 'BEGIN; LOCK TABLE audit');
	my $started = time;
	like(talk($s, q{SELECT audit('blocked')}), qr/57014.*command_timeout/s, 'who locks out himself is told');
	cmp_ok(time - $started, '<', 20, '... in time');
	talk($s, 'ROLLBACK');
	close_psql($clerk);
}

close_psql($s);
at_rest('at the end');
is($local->safe_psql('postgres', 'SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
unlike(slurp_file($local->logfile), qr/PANIC|TRAP|signal (6|11)/, 'nothing crashed');
done_testing();
