# Kinds of statements, and how their errors and notices arrive; the connection
# stays good.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote', q{log_statement = 'all'});
my $local  = start_local('local');
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
make_target($local, $remote, 'init', pool_size => 1, max_overflow => 0, settings => q{'{"init_sql": "SET my.init = 1; SET my.other = 2"}'});
$remote->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TABLE t (a int PRIMARY KEY, b text);
	INSERT INTO t SELECT g, 'x' FROM generate_series(1, 1000) g;
	CREATE PROCEDURE commits(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP INSERT INTO t VALUES (10000 + i); COMMIT; END LOOP; END $$;
	CREATE PROCEDURE gives(a int, INOUT b int) LANGUAGE plpgsql AS $$ BEGIN b := a + b; COMMIT; END $$;
	CREATE FUNCTION complains(level text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
		IF level = 'error' THEN RAISE 'the message' USING ERRCODE = 'P4711', DETAIL = 'the detail', HINT = 'the hint', SCHEMA = 'the_schema', TABLE = 'the_table', COLUMN = 'the_column', CONSTRAINT = 'the_constraint', DATATYPE = 'the_type';
		ELSIF level = 'warning' THEN RAISE WARNING 'the message' USING ERRCODE = '01W11', DETAIL = 'the detail', HINT = 'the hint', SCHEMA = 'the_schema', TABLE = 'the_table', COLUMN = 'the_column', CONSTRAINT = 'the_constraint', DATATYPE = 'the_type';
		ELSIF level = 'notice' THEN RAISE NOTICE 'the message';
		ELSIF level = 'info' THEN RAISE INFO 'the message';
		END IF; RETURN 1; END $$;
});
my $pid = $local->safe_psql('postgres', q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(a int)});

sub quoted
{
	my ($s) = @_;
	$s =~ s/'/''/g;
	return "'$s'";
}

# Behind a reset, again by the same session, and as somebody who has init_sql.
sub runs
{
	my ($how, $sql, $expected, $what) = @_;
	for my $target ('crm', 'init')
	{
		my $call = $how eq 'exec' ? "SELECT pool_config.exec('$target', " . quoted($sql) . ');'
		  : $how eq 'exec, parameter' ? "SELECT pool_config.exec('$target', " . quoted($sql) . ', 1);'
		  : "SELECT * FROM pool_config.query('$target', " . quoted($sql) . ") AS t($how);";
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY sqlstate\nSET client_min_messages = error;\n" . "$call\n" x 3, on_error_stop => 0);
		$err =~ s/^psql:<stdin>:\d+: ERROR:  //mg;
		chomp $err;
		my $got = $out . ($out ne '' && $err ne '' ? "\n" : '') . $err;
		is($got, join("\n", ($expected) x 3), ($what // $sql) . " ($how on $target)");
	}
}
runs('exec', 'select 1', 'SELECT 1');
runs('exec', 'select 1 where false', 'SELECT 0');
runs('exec', '', '', 'an empty string');
runs('exec', ' ; ; ', '', 'empty statements');
runs('exec', '-- nothing', '', 'a comment');
runs('exec', 'show work_mem', 'SHOW');
runs('x text', 'show work_mem', '4MB');
runs('exec', 'explain select 1', 'EXPLAIN');
runs('x text', 'explain (costs off) select 1', 'Result');
runs('exec', 'do $$ begin perform 1; end $$', 'DO');
runs('exec', 'vacuum t', 'VACUUM');
runs('exec, parameter', 'vacuum t', 'VACUUM');
runs('exec', 'create index concurrently i on t(b); drop index i', '25001');
runs('exec', 'create index concurrently if not exists i on t(b)', 'CREATE INDEX');
runs('exec', 'drop index concurrently if exists i', 'DROP INDEX');
runs('exec', 'delete from t where a > 10000; call commits(5)', '2D000');
runs('exec', 'call commits(0)', 'CALL');
runs('x int', 'call gives(1, 2)', '3');
runs('x int', 'update t set b = b where a < 3 returning a', "1\n2");
runs('x int', 'with d as (delete from t where a = -1 returning a) select count(*) from d', '0');
runs('x int', 'values (1), (2)', "1\n2");
runs('exec', 'select 1; select 2; update t set b = b where a = 1', 'UPDATE 1');
runs('x int', 'select 1; select 2', '42601');
runs('exec, parameter', 'select $1; select 2', '42601');
for my $call (q{query_json('crm', 'select 1 as a; select 2 as a')}, q{query_as(NULL::pg_am, 'crm', 'select 1; select 2')}, q{query_json('crm', 'select $1; select 2', 1)})
{
	fails_with($local, "SELECT pool_config.$call;", '42601', 'HINT:  Send one statement per call', "$call: one statement, says the hint");
}
for my $call (q{query_json('crm', 'copy (select 1) to stdout')}, q{query_as(NULL::pg_am, 'crm', 'copy t from stdin')})
{
	fails_with($local, "SELECT pool_config.$call;", '0A000', 'COPY from or to the client', "$call is refused");
}
runs('exec', 'insert into t values (-5); select 1/0', '22012');
runs('exec', 'select * from t where a = -5', 'SELECT 0', 'several statements are one transaction');
runs('exec', 'begin; insert into t values (-6); commit; delete from t where a = -6', 'DELETE 1');
runs('exec', 'select 1; selec 2', '42601');
runs('exec', 'copy t from stdin', '0A000');
runs('exec', 'copy t to stdout', '0A000');
runs('exec', 'select 1; copy t to stdout; select 2', '0A000');
runs('exec', 'select 1; copy t from stdin; select 2', '0A000');
runs('exec', 'copy nothing to stdout', '0A000');
runs('exec', 'select 1; copy nothing from stdin', '42P01');
runs('x text', 'copy (select 1) to stdout', '0A000');
runs('exec, parameter', 'copy t from stdin', '0A000');
runs('exec', 'declare c cursor for select 1', '25P01');
runs('exec', 'savepoint a', '25P01');
runs('exec', 'commit', 'COMMIT');
runs('exec', 'rollback', 'ROLLBACK');
runs('x int', 'update t set b = b where a < 3', '42804');

is($local->safe_psql('postgres', q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(a int)}), $pid, 'all of that over one connection');
is($remote->safe_psql('postgres', q{SELECT count(*) FROM app.t} =~ s/app\.//r), 1000, 'and nothing was changed but what should be');
for my $call ('begin', 'start transaction read only', 'prepare transaction \'x\'')
{
	$local->psql('postgres', "SET client_min_messages = error; SELECT pool_config.exec('crm', " . quoted($call) . ')');
	sql_ok($local, q{SELECT pool_config.exec('crm', 'insert into t values (-7); delete from t where a = -7')}, 'DELETE 1', "$call does not outlive its call");
	is($remote->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'}), 0, '... nor its transaction');
}
{
	my $pid = q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(a int);};
	my ($rc, $out, $err) = $local->psql('postgres', "$pid SELECT * FROM pool_config.query('crm', 'update t set b = b where a = 1 returning a, b') AS t(a text); $pid", on_error_stop => 0);
	like($err, qr/returned 2 columns, 1 are declared.*It was run, and the remote server answered: UPDATE 1/s, 'a column too few: what was done is told');
	like($out, qr/^(\d+)\n\1$/, 'and the connection stays');
	my $start = time;
	fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select generate_series(1, 1000000000), 1') AS t(a text);}, '42804', 'not known', 'a result without end is not waited for');
	cmp_ok(time - $start, '<', 20, '... nor read to its end');
}
for my $call ('begin; insert into t values (-8)', 'insert into t values (-8); begin', 'begin; insert into t values (-8); commit and chain; insert into t values (-9)')
{
	fails_with($local, "SELECT pool_config.exec('crm', '$call');", '2D000', 'left a transaction open', "$call: what is lost is told");
}
is($remote->safe_psql('postgres', q{SELECT string_agg(a::text, ' ') FROM t WHERE a < 0}), '-8', '... and what was committed stays');
$remote->safe_psql('postgres', 'DELETE FROM t WHERE a < 0');
fails_with($local, q{SELECT pool_config.exec('crm', 'select 1; copy t to stdout');}, '0A000', 'output thrown away', 'what was run is told');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'copy t from stdin') AS t(a int);}, '0A000', 'was not run', 'so is what was not');
fails_with($local, q{SELECT * FROM pool_config.query('crm', '/* copy */ COPY t (a) FROM /* x */ -- y
	STDIN') AS t(a int);}, '0A000', 'was not run', 'whatever stands around it');
$remote->safe_psql('postgres', q{GRANT pg_read_server_files, pg_write_server_files TO app});
my $file = PostgreSQL::Test::Utils::tempdir() . '/copied';
sql_ok($local, "SELECT pool_config.exec('crm', 'copy (select a as \"from stdin\", b from t where a < 4) to ''$file'' (header)')", 'COPY 3', 'COPY with a file of the remote server');
fails_with($local, q{SELECT pool_config.exec('crm', 'select 1; copy (select repeat(''x'', 1000) from generate_series(1, 100000)) to stdout');}, '0A000', 'not known', 'a COPY without end costs the connection');
sql_ok($local, q{SELECT pool_config.exec('crm', 'select 1')}, 'SELECT 1', 'and another one is there');

# --- errors with all their fields
sql_ok($local, q{
	CREATE FUNCTION fields() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE f1 text; f2 text; f3 text; f4 text; f5 text; f6 text; f7 text; f8 text; f9 text; f10 text;
	BEGIN
		PERFORM * FROM pool_config.query('crm', 'select complains($1)', 'error') AS t(a int);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS f1 = RETURNED_SQLSTATE, f2 = MESSAGE_TEXT, f3 = PG_EXCEPTION_DETAIL, f4 = PG_EXCEPTION_HINT,
			f5 = SCHEMA_NAME, f6 = TABLE_NAME, f7 = COLUMN_NAME, f8 = CONSTRAINT_NAME, f9 = PG_DATATYPE_NAME, f10 = PG_EXCEPTION_CONTEXT;
		RETURN concat_ws('|', f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
	END $$;
	SELECT split_part(fields(), E'\nSQL statement', 1)},
	q{P4711|the message|the detail|the hint|the_schema|the_table|the_column|the_constraint|the_type|PL/pgSQL function complains(text) line 2 at RAISE}
	. qq{\nremote statement on target "crm": select complains(\$1)}, 'each field of an error');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select nothing from t') AS t(a int);}, '42703', 'at character 8: select nothing', 'the position within the statement');
fails_with($local, q{SELECT pool_config.exec('crm', 'select ' || repeat('x', 5000));}, '42703', 'x \.\.\.', 'a long statement is cut');
for my $level ('warning', 'notice', 'info')
{
	for my $call ("SELECT pool_config.exec('crm', 'select complains(''$level'')')", "SELECT * FROM pool_config.query('crm', 'select complains(''$level'')') AS t(a int)")
	{
		my (undef, undef, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$call");
		my $code = $level eq 'warning' ? '01W11: ' : '00000: ';
		like($err, qr/\U$level\E:  ${code}the message.*CONTEXT:.*on target "crm"/s, "a remote $level");
		next if $level ne 'warning';
		like($err, qr/DETAIL:  the detail\nHINT:  the hint/, '... with detail and hint');
		like($err, qr/^\U$_\E NAME:  the_$_$/m, "... with its $_") for 'schema', 'table', 'column', 'constraint';
		like($err, qr/^DATATYPE NAME:  the_type$/m, '... with its datatype');
	}
}
sql_ok($local, q{CREATE TABLE kept (a int);
	DO $$ BEGIN INSERT INTO kept SELECT * FROM pool_config.query('crm', 'select 1000 / (1000 - g) from generate_series(1, 2000) g') AS t(a int);
	EXCEPTION WHEN division_by_zero THEN NULL; END $$;
	SELECT count(*) FROM kept;}, '0', 'an error after half the rows leaves nothing');

# --- volatility, NULL, places
sql_ok($local, q{SELECT count(*) FROM pool_config.query('crm', NULL) AS t(a int)}, '0', 'NULL gives no rows');
sql_ok($local, q{SELECT pool_config.exec(NULL, 'select 1') IS NULL}, 't', 'or NULL');
sql_ok($local, q{CREATE TABLE orders (a int);
	CREATE FUNCTION on_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pool_config.exec('crm', 'update t set b = $2 where a = $1', NEW.a, 'ordered'::text); RETURN NEW; END $$;
	CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION on_order();
	INSERT INTO orders VALUES (1), (2);
	SELECT string_agg(b, ' ') FROM pool_config.query('crm', 'select b from t where a < 4 order by a') AS t(b text)}, 'ordered ordered x', 'from a trigger');

sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');
done_testing();
