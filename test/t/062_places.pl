# Where calls are made: parallel plans, views, cursors, a logical replication
# worker, a standby.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote', 'wal_level = logical', 'max_wal_senders = 4');
my $local  = start_local('local', 'wal_level = replica', 'max_logical_replication_workers = 4', 'max_parallel_workers = 4');
make_target($local, $remote, 'crm');
$remote->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TABLE customers (id int PRIMARY KEY, name text);
	INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cid');
	CREATE TABLE heard (id int, what text)});
my $query = q{pool_config.query('crm', 'select id, name from customers') AS c(id int, name text)};

# --- parallel plans: the leader calls, workers must not
$local->safe_psql('postgres', q{CREATE TABLE orders AS SELECT g AS id, g % 4 AS customer FROM generate_series(1, 20000) g; ANALYZE orders});
my $parallel = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;};
for my $case (
	[ "SELECT c.name, count(*) FROM orders o JOIN $query ON c.id = o.customer GROUP BY c.name ORDER BY 1", "Ada|5000\nBob|5000\nCid|5000", 'a join' ],
	[ "SELECT count(*), (SELECT name FROM $query WHERE id = 2) FROM orders", '20000|Bob', 'a subquery' ],
	[ q{SELECT id, pool_config.exec('crm', 'select $1', id) FROM orders WHERE id % 10000 = 0 ORDER BY id}, "10000|SELECT 1\n20000|SELECT 1", 'a call for each row' ])
{
	my ($sql, $expected, $what) = @$case;
	like($local->safe_psql('postgres', "$parallel EXPLAIN $sql"), qr/Gather/, "$what: the plan is parallel");
	sql_ok($local, "$parallel $sql", $expected, "$what: and right");
}
my $force = $local->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
$local->safe_psql('postgres', q{CREATE FUNCTION lies() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN pool_config.exec('crm', 'select 1'); END $$});
fails_with($local, "SET $force = on; SELECT lies();", '25000', 'parallel worker', 'a parallel worker is refused');
sql_ok($local, 'SELECT lies()', 'SELECT 1', 'as a leader it may call');

# --- statements and objects that hold a call
sql_ok($local, "WITH c AS (SELECT * FROM $query) SELECT count(*) FROM c a, c b", '9', 'a common table expression');
sql_ok($local, "CREATE VIEW customers AS SELECT * FROM $query; SELECT name FROM customers WHERE id = 3", 'Cid', 'a view');
sql_ok($local, 'CREATE MATERIALIZED VIEW copied AS SELECT * FROM customers; REFRESH MATERIALIZED VIEW copied; SELECT count(*) FROM copied', '3', 'a materialized view');
$local->safe_psql('postgres', q{
	CREATE ROLE reporter; GRANT USAGE ON FOREIGN SERVER crm TO reporter; GRANT ALL ON SCHEMA public TO reporter;
	SET ROLE reporter; CREATE MATERIALIZED VIEW report AS SELECT * FROM pool_config.query('crm', 'select count(*) from customers') AS t(n bigint);
	RESET ROLE; REVOKE USAGE ON FOREIGN SERVER crm FROM reporter});
fails_with($local, 'REFRESH MATERIALIZED VIEW report;', '42501', 'foreign server', 'which its owner has to have the rights for');
sql_ok($local, 'INSERT INTO orders SELECT 100000 + id, id FROM customers; UPDATE orders o SET customer = -c.id FROM customers c WHERE o.id = 100000 + c.id; SELECT sum(customer) FROM orders WHERE id > 100000', '-6', 'INSERT and UPDATE');
sql_ok($local, q{SELECT g, c.name FROM generate_series(1, 2) g, LATERAL pool_config.query('crm', 'select name from customers where id = $1', g) AS c(name text)}, "1|Ada\n2|Bob", 'LATERAL');
sql_ok($local, 'BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT name FROM customers; FETCH 2 FROM c; COMMIT; FETCH FROM c; FETCH PRIOR FROM c', "Ada\nBob\nCid\nBob", 'a cursor');
sql_ok($local, 'PREPARE p(int) AS SELECT name FROM customers WHERE id = $1; EXECUTE p(1); EXECUTE p(2)', "Ada\nBob", 'a prepared statement');
sql_ok($local, q{CREATE PROCEDURE moves() LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
		FOR r IN SELECT * FROM customers LOOP INSERT INTO orders VALUES (200000 + r.id, r.id); COMMIT; PERFORM pool_config.exec('crm', 'select 1'); END LOOP; END $$;
	CALL moves(); SELECT count(*) FROM orders WHERE id > 200000}, '3', 'a procedure that commits in between');
sql_ok($local, q{SELECT name FROM customers WHERE id = 1 UNION ALL SELECT coalesce((SELECT name FROM customers WHERE id = 9), 'none')}, "Ada\nnone", 'twice in one statement');

# --- a worker of the server that has a database, but no client
$remote->safe_psql('postgres', 'CREATE TABLE news (id int PRIMARY KEY, text text); CREATE PUBLICATION news FOR TABLE news');
$local->safe_psql('postgres', sprintf(q{
	CREATE TABLE news (id int PRIMARY KEY, text text);
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.text LIKE 'joined%%' THEN PERFORM pool_config.join_transaction('crm'); END IF;
		PERFORM pool_config.exec('crm', 'insert into heard values ($1, $2)', NEW.id, NEW.text);
		PERFORM 1 / (SELECT min(n) FROM wanted);
		RETURN NEW; END $$;
	CREATE TABLE wanted (n int); INSERT INTO wanted VALUES (1);
	CREATE TRIGGER tell BEFORE INSERT ON news FOR EACH ROW EXECUTE FUNCTION tell();
	ALTER TABLE news ENABLE ALWAYS TRIGGER tell;
	ALTER FUNCTION tell SET search_path = public;
	CREATE SUBSCRIPTION news CONNECTION '%s dbname=postgres' PUBLICATION news}, $remote->connstr));
$remote->safe_psql('postgres', q{INSERT INTO news VALUES (1, 'plain')});
poll_until('a logical replication worker calls', sub { $remote->safe_psql('postgres', q{SELECT string_agg(what, ' ') FROM heard}) eq 'plain' });
$local->safe_psql('postgres', 'UPDATE wanted SET n = 0');
$remote->safe_psql('postgres', q{INSERT INTO news VALUES (2, 'joined')});
poll_until('where the apply fails', sub { slurp_file($local->logfile) =~ /division by zero/ });
is($remote->safe_psql('postgres', q{SELECT count(*) FROM heard WHERE id = 2}), 0, 'a joined transaction goes with it');
$local->safe_psql('postgres', 'UPDATE wanted SET n = 1');
poll_until('and comes with it', sub { $local->safe_psql('postgres', 'SELECT count(*) FROM news') == 2 });
is($remote->safe_psql('postgres', q{SELECT count(*) FROM heard WHERE id = 2}), 1, 'once');
$local->safe_psql('postgres', 'DROP SUBSCRIPTION news');

# --- a standby
$local->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($local, 'copy', has_streaming => 1);
$standby->start;
$local->wait_for_catchup($standby);
sql_ok($standby, 'SELECT name FROM customers WHERE id = 2', 'Bob', 'a standby reads');
sql_ok($standby, q{SELECT pool_config.exec('crm', 'insert into heard values (3, ''standby'')')}, 'INSERT 0 1', 'and writes, there');
sql_ok($standby, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'create temp table t as select 7 as a'); SELECT * FROM pool_config.query('crm', 'select a from t') AS t(a int); SELECT pool_config.release('crm')}, "\nSELECT 1\n7\nt", 'acquire');
sql_ok($standby, q{BEGIN; SELECT pool_config.join_transaction('crm'); SELECT pool_config.exec('crm', 'insert into heard values (4, ''standby'')'); COMMIT; SELECT * FROM pool_config.query('crm', 'select count(*) from heard where id = 4') AS t(n int)}, "\nINSERT 0 1\n1", 'join_transaction');
sql_ok($standby, q{SELECT count(*) FROM pool_config.targets, pool_config.pools WHERE pools.target = targets.target}, '1', 'views');
sql_ok($standby, q{SELECT bool_and(ok) FROM pool_config.check_target('crm')}, 't', 'check_target');
sql_ok($standby, q{SELECT pool_config.recycle('crm') > 0}, 't', 'steering');
for my $call (q{create_target('new', 'host=h user=u password=p')}, q{alter_target('crm', pool_size => 3)}, q{drop_target('crm')}, q{create_function('f()', 'crm', 'select 1 as a')})
{
	fails_with($standby, "SELECT pool_config.$call;", '25006', 'read-only transaction|during recovery', "$call is refused");
}
sql_ok($standby, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');
done_testing();
