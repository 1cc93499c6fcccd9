# Statements that a session runs again and again are prepared at the remote;
# whatever happens there, a call gives what it would give without that.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local');
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
make_target($local, $remote, 'ddl');
$remote->safe_psql('postgres', q{
	CREATE SCHEMA other;
	CREATE SCHEMA app AUTHORIZATION app;
	GRANT ALL ON SCHEMA other, public TO app;
	SET ROLE app;
	CREATE TABLE public.t (a int, b text);
	INSERT INTO public.t VALUES (1, 'one'), (2, 'two');
	CREATE TABLE other.t (a int, b text);
	INSERT INTO other.t VALUES (7, 'other');
	CREATE FUNCTION run(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 'done'; END $$;
});

# Statements of ours that the connection knows.
my $known = q{SELECT 'known ' || n FROM pool_config.query('crm', 'select count(*) from pg_prepared_statements where name like ''pool_config%''') AS t(n int);};
my $all = q{SELECT a, b FROM pool_config.query('crm', 'select * from t order by a') AS t(a text, b text);};
my $by_name = q{SELECT b, a FROM pool_config.query_as(NULL::named, 'crm', 'select * from t order by a');};

# One session, which makes its calls without a pause.
sub session_gives
{
	my ($script, $expected, $what) = @_;
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY sqlstate\nSET client_min_messages = error;\n$script", on_error_stop => 0);

	$out =~ s/\s+/ /g;
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/\s+/ /g;
	is($out . ($err ne '' ? " / $err" : ''), $expected =~ s/ +/ /gr =~ s/ $//r, $what);
}
sub ddl
{
	my ($sql) = @_;
	$sql =~ s/'/''/g;
	return "SELECT FROM pool_config.exec('ddl', '$sql');\n";
}

$local->safe_psql('postgres', 'CREATE TYPE named AS (b text, a int)');
session_gives("$all $known $all $known $all $all $known",
	'1|one 2|two known 0 1|one 2|two known 2 1|one 2|two 1|one 2|two known 2',
	'the second run prepares, later ones use it');
session_gives("$by_name $by_name $by_name $all", 'one|1 two|2 ' x 3 . '1|one 2|two',
	'by name, and the same statement by position');
session_gives(q{SELECT a, b, c, d, e FROM pool_config.query('crm', 'select 1::int8, 2::int8, 1.5::numeric, null::date, ''x''') AS t(a int8, b int, c float8, d date, e text);} x 4,
	join(' ', ('1|2|1.5||x') x 4), 'values as declared and otherwise, NULL');
session_gives(q{SELECT count(*), sum(a) FROM pool_config.query('crm', 'select g from generate_series(1, 100000) g') AS t(a int);} x 3,
	join(' ', ('100000|5000050000') x 3), 'many rows');

# --- the remote changes
session_gives($all x 3 . ddl(q{UPDATE t SET b = 'eins' WHERE a = 1}) . $all, '1|one 2|two ' x 3 . '1|eins 2|two', 'changed data');
session_gives("$all$all$all" . ddl('ALTER TABLE t ADD c int') . $all . q{SELECT * FROM pool_config.query('crm', 'select * from t order by a') AS t(a int, b text, c text);} x 3,
	'1|eins 2|two ' x 3 . join(' ', ('1|eins| 2|two|') x 3) . ' / ERROR: 42804', 'a new column: refused to whom it does not fit, seen by whom it does');
session_gives($by_name x 3 . ddl('ALTER TABLE t DROP c') . $by_name x 3 . ddl('ALTER TABLE t ADD c int, DROP b') . $by_name . ddl('ALTER TABLE t ADD b text, DROP c') . ddl(q{UPDATE t SET b = CASE a WHEN 1 THEN 'eins' ELSE 'two' END}),
	'eins|1 two|2 ' x 3 . ' / ' . join(' ', ('ERROR: 42804') x 4),
	'a column less, by name');
session_gives($by_name x 3 . ddl('ALTER TABLE t RENAME b TO x') . $by_name . ddl('ALTER TABLE t RENAME x TO b') . $by_name x 2,
	'eins|1 two|2 ' x 5 . ' / ERROR: 42804', 'a renamed column');
session_gives($all x 3 . ddl('ALTER TABLE t ALTER a TYPE text USING a || chr(33)') . $all x 3 . ddl('ALTER TABLE t ALTER a TYPE int USING rtrim(a, chr(33))::int') . $all,
	'1|eins 2|two ' x 3 . '1!|eins 2!|two ' x 3 . '1|eins 2|two', 'another type of a column');
session_gives($all x 3 . ddl('DROP TABLE t') . $all x 2 . ddl(q{CREATE TABLE public.t AS SELECT 1 AS a, 'new' AS b}) . $all x 3,
	'1|eins 2|two ' x 3 . join(' ', ('1|new') x 3) . ' / ERROR: 42P01 ERROR: 42P01', 'a table is dropped and made anew');
session_gives($all x 3 . q{SELECT FROM pool_config.exec('crm', 'set search_path = other');} . $all x 3, '1|new 1|new 1|new 7|other 7|other 7|other', 'search_path');
session_gives($all x 3 . q{SELECT FROM pool_config.exec('crm', 'create temp table t as select 8 as a, ''temp'' as b');} . $all x 3
	  . q{SELECT FROM pool_config.exec('crm', 'drop table t');} . $all x 3, '1|new ' x 3 . '8|temp ' x 3 . join(' ', ('1|new') x 3), 'a temporary table');
session_gives(q{SELECT FROM pool_config.exec('crm', 'create temp table u()');} . $all x 3 . q{SELECT FROM pool_config.exec('crm', 'select run(''create temp table t as select 8 as a, 1 as b'')');} . $all x 3,
	'1|new ' x 3 . join(' ', ('8|1') x 3), 'a temporary table that a function made');
session_gives($all x 3 . ddl(q{CREATE TABLE app.t AS SELECT 9 AS a, 'app' AS b}) . q{DO $$ BEGIN FOR i IN 1..120 LOOP PERFORM pg_sleep(0.01), pool_config.exec('ddl', 'select 1'), a FROM pool_config.query('crm', 'select * from t order by a') AS t(a text, b text); END LOOP; END $$;} . $all,
	'1|new 1|new 1|new 9|app', 'a table that comes first now is seen within a second') ;
session_gives(ddl('DROP TABLE app.t'), '', 'it is dropped');

# --- the remote forgets
my $forget = q{SELECT x FROM pool_config.query('crm', 'select run(''deallocate all'')') AS t(x text);};
session_gives($all x 3 . $forget . $all x 3 . $known, '1|new ' x 3 . 'done ' . '1|new ' x 3 . 'known 1', 'statements that are gone are run all the same');
session_gives(($all x 3 . $forget) x 5 . $all x 3 . $known, ('1|new ' x 3 . 'done ') x 5 . '1|new ' x 3 . 'known 0', 'after some times no more are prepared');
session_gives($all x 3 . q{SELECT FROM pool_config.exec('crm', 'discard all');} . $all x 3 . $known, '1|new ' x 6 . 'known 1', 'DISCARD ALL');
session_gives($all x 3 . q{SELECT FROM pool_config.exec('crm', 'set my.x = 1');} . $known . $all, '1|new ' x 3 . 'known 0 1|new', 'what was prepared is closed');

# --- others
$local->safe_psql('postgres', 'CREATE ROLE alice; GRANT USAGE ON FOREIGN SERVER crm TO alice');
session_gives("$all$all SET ROLE alice; $known RESET ROLE; $all $known", '1|new 1|new known 0 1|new known 0', 'nothing outlives another role');
session_gives("$all$all DISCARD ALL; SET client_min_messages = error; $known", '1|new 1|new known 0', 'nor a DISCARD ALL of the session');
session_gives("$all$all" . q{SELECT pg_sleep(2);} . "$known $all $all", '1|new 1|new  known 0 1|new 1|new', 'nor a reset by the worker');
{
	my $run = start_psql($local, qq{SELECT pool_config.exec('ddl', 'select 1');} . $all x 2);
	finish_psql($run);
	session_gives($known, 'known 0', 'nor the session');
}

# --- errors
my $fails = q{SELECT * FROM pool_config.query('crm', 'select 1/(a-1), b from t') AS t(a int, b text);};
my $pid = q{SELECT 'pid ' || a FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(a int);};
{
	my ($rc, $out, $err) = $local->psql('postgres', "$pid" . $fails x 4 . $pid x 3, on_error_stop => 0);
	my @pids = split /\n/, $out;
	is(scalar(grep { $_ eq $pids[0] } @pids), 4, 'errors leave the connection as it is');
	is(scalar(() = $err =~ /division by zero/g), 4, 'each call has its error');
}
session_gives(q{SELECT * FROM pool_config.query('crm', 'select b from t') AS t(a text);} x 3 . q{SELECT * FROM pool_config.query('crm', 'select b from t') AS t(a int);} . q{SELECT * FROM pool_config.query('crm', 'select b from t') AS t(a text);},
	'new new new new / ERROR: 22P02', 'an error of ours in the rows');
session_gives(q{CREATE DOMAIN checked AS int CHECK (pool_config.exec('ddl', 'select ' || VALUE) = 'SELECT 1');}
	  . q{SELECT count(*) FROM pool_config.query('ddl', 'select g from generate_series(1, 20) g') AS t(a checked);} x 4 . 'DROP DOMAIN checked;',
	'20 20 20 20', 'calls within calls');

{
	my $list = q{SELECT * FROM pool_config.query('crm', 'select 1, 2') AS t(a int, b int, c int);};
	my ($rc, $out, $err) = $local->psql('postgres', "$pid" . $list x 3 . $pid x 3, on_error_stop => 0);
	my @pids = split /\n/, $out;
	is(scalar(grep { $_ eq $pids[0] } @pids), 4, 'so does a wrong list of columns');
	is(scalar(() = $err =~ /returned 2 columns, 3 are declared/g), 3, 'which each call is told');
}

# --- bounds
session_gives(q{DO $$ BEGIN FOR i IN 1..300 LOOP FOR j IN 1..2 LOOP PERFORM * FROM pool_config.query('crm', 'select ' || i) AS t(a int); END LOOP; END LOOP; END $$;}
	  . q{SELECT n BETWEEN 60 AND 80 FROM pool_config.query('crm', 'select count(*) from pg_prepared_statements') AS t(n int);}, 't', 'the remote keeps no more than some 64');
session_gives(q{DO $$ DECLARE s text := 'select ''' || repeat('x', 20000) || ''' || '; BEGIN FOR i IN 1..40 LOOP FOR j IN 1..3 LOOP PERFORM * FROM pool_config.query('crm', s || i) AS t(a text); END LOOP; END LOOP; END $$;}
	  . q{SELECT n BETWEEN 5 AND 20 FROM pool_config.query('crm', 'select count(*) from pg_prepared_statements') AS t(n int);}
	  . q{SELECT sum(total_bytes) < 600000 FROM pg_backend_memory_contexts WHERE name = 'pool_config statements';}, 't t', 'nor do we keep more than some memory');
session_gives($all x 3 . q{SELECT * FROM pool_config.query('crm', 'select 8 as a, 2 as b into temp t') AS t(a int);} . $all x 2, '1|new 1|new 1|new 8|2 8|2 / ERROR: 42804', 'a table made by SELECT INTO');
session_gives(q{DO $$ BEGIN FOR i IN 1..2000 LOOP PERFORM * FROM pool_config.query('crm', 'select ' || i) AS t(a int); END LOOP; END $$;} . $known, 'known 0', 'what runs once is not prepared');

# --- not behind a pooler that moves us from transaction to transaction
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"pooler": "transaction"}')});
session_gives("$all$all$all$known", '1|new 1|new 1|new known 0', 'pooler = transaction');
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"pooler": "none", "pool_reset": "always"}')});
session_gives("$all$all$all$known", '1|new 1|new 1|new known 0', 'pool_reset = always');

# --- init_sql stands, whatever the first statement behind it does
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"pool_reset": "auto", "init_sql": "SET my.init = ''yes''; SET my.other = 1"}')});
my $init = q{SELECT x FROM pool_config.query('crm', 'select current_setting(''my.init'', true)') AS t(x text);};
session_gives($init, 'yes', 'init_sql');
session_gives(q{SELECT pool_config.exec('crm', 'select 1/0');} . $init, 'yes / ERROR: 22012', 'init_sql is not undone by an error');
session_gives(q{SELECT * FROM pool_config.query('crm', 'select 1/0') AS t(a int);} . $init, 'yes / ERROR: 22012', 'nor by one in a query');
session_gives(q{SELECT pool_config.exec('crm', 'vacuum t');}, 'VACUUM', 'VACUUM behind init_sql');

sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');
done_testing();
