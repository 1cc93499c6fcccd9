# Ordinary SQL functions made of remote statements.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote', q{log_statement = 'all'});
my $local  = start_local('local');
make_target($local, $remote, 'crm');
$remote->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TYPE mood AS ENUM ('glad', 'sad');
	CREATE TYPE strange AS (a int);
	CREATE TABLE customers (id int PRIMARY KEY, name varchar(20), "Odd Name" numeric(10,2), feels mood, born date, tags text[], u uuid);
	INSERT INTO customers VALUES (1, 'Ada', 1.5, 'glad', '1815-12-10', '{a,b}', '12345678-9abc-def0-1234-56789abcdef0'), (2, 'O''Neil', 2, 'sad', NULL, NULL, NULL);
});
$local->safe_psql('postgres', q{CREATE SCHEMA kinds; CREATE TYPE kinds.mood AS ENUM ('glad', 'sad', 'other'); CREATE SCHEMA api; CREATE ROLE alice});

# A function is made; its text is that of the server.
sub made
{
	my ($arguments, $expected, $what) = @_;
	sql_ok($local, "SET search_path = public, kinds; SELECT pool_config.create_function($arguments)", $expected, $what);
}
my $offset = -s $remote->logfile;
made(q{'customer(id int)', 'crm', 'select * from customers where id = $1'}, 'customer(integer)', 'a function is made');
my ($logged) = slurp_file($remote->logfile, $offset) =~ /(select \* from customers.*)/;
is($logged, undef, 'and the statement was not run');
sql_ok($local, q{SELECT id, name, "Odd Name", feels, born, tags, u FROM customer(1)}, '1|Ada|1.50|glad|1815-12-10|{a,b}|12345678-9abc-def0-1234-56789abcdef0', 'it is called');
sql_ok($local, q{SELECT pg_get_function_result('customer'::regproc)},
	'TABLE(id integer, name character varying, "Odd Name" numeric, feels kinds.mood, born date, tags text[], u uuid)', 'with the types of the columns');
sql_ok($local, q{SELECT string_agg(name, ',' ORDER BY g) FROM generate_series(1, 3) g LEFT JOIN LATERAL customer(g) ON true}, "Ada,O'Neil", 'for rows');
made(q{'api.rename(int, "new Name" text)', 'crm', 'update customers set name = $2 where id = $1'}, 'api.rename(integer,text)', 'a statement without columns');
sql_ok($local, q{SELECT api.rename(2, 'O''Brien'); SELECT name FROM customer(2)}, "UPDATE 1\nO'Brien", 'returns the command tag');
made(q{'now_there()', 'crm', 'select now() as t, ''it''''s'' as s'}, 'now_there()', 'without arguments');
sql_ok($local, q{SELECT t <= clock_timestamp() + interval '1 min', s FROM now_there()}, "t|it's", '... called');
made(q{'search(names text[], u uuid, m kinds.mood, d date, c "char", n name)', 'crm',
	'select id from customers where name = any($1) and u = $2 and feels = $3 and born = $4 and $5::text = ''c'' and $6::text = ''n'''}, 'search(text[],uuid,mood,date,"char",name)', 'arguments of many types');
sql_ok($local, q{SELECT * FROM search(array['Ada', 'x'], '12345678-9abc-def0-1234-56789abcdef0', 'glad', '1815-12-10', 'c', 'n')}, '1', '... called');
sql_ok($local, q{PREPARE p AS SELECT name FROM customer($1); EXECUTE p(1)}, 'Ada', 'an untyped parameter of a driver');

# --- what the local planner assumes
$remote->safe_psql('postgres', 'CREATE TABLE many AS SELECT g AS id FROM generate_series(1, 5000) g; ALTER TABLE many ADD PRIMARY KEY (id); GRANT SELECT ON many TO app; ANALYZE many');
made(q{'all_of_them()', 'crm', '/* "Plan Rows": 3 */ select id, ''"Plan Rows": 4'' as t from many'}, 'all_of_them()', 'many rows');
made(q{'one_of_them(int)', 'crm', 'select id from many where id = $1'}, 'one_of_them(integer)', 'one row');
$offset = -s $remote->logfile;
made(q{'shown()', 'crm', 'show work_mem'}, 'shown()', 'a statement without a plan');
unlike(slurp_file($remote->logfile, $offset), qr/EXPLAIN|ERROR/, '... is not asked for one');
sql_ok($local, q{SELECT proname, prorows FROM pg_proc WHERE proname IN ('all_of_them', 'one_of_them', 'shown') ORDER BY 1}, "all_of_them|5000\none_of_them|1000\nshown|1000", 'rows as the remote expects them');
$local->safe_psql('postgres', 'ALTER FUNCTION one_of_them ROWS 1');
made(q{'one_of_them(int)', 'crm', 'select id from many where id = $1 and id > 0', replace => true}, 'one_of_them(integer)', 'a replacement');
sql_ok($local, q{SELECT prorows FROM pg_proc WHERE proname = 'one_of_them'}, '1', '... keeps the rows that were set');
like($local->safe_psql('postgres', 'EXPLAIN SELECT * FROM all_of_them()'), qr/rows=5000/, 'are what the planner takes');
$local->safe_psql('postgres', 'DROP FUNCTION all_of_them; DROP FUNCTION one_of_them; DROP FUNCTION shown');

# --- rights are the server's
my $call = q{SET ROLE alice; SELECT name FROM customer(1);};
$local->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION customer FROM PUBLIC');
fails_with($local, $call, '42501', 'permission denied for function', 'EXECUTE is needed');
$local->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION customer TO alice; GRANT USAGE ON SCHEMA kinds TO alice');
fails_with($local, $call, '42501', 'permission denied for foreign server', 'USAGE is, too');
made(q{'customer(id int)', 'crm', 'select * from customers where id = $1', security_definer => true, replace => true}, 'customer(integer)', 'replace, security_definer');
sql_ok($local, $call, 'Ada', 'then EXECUTE is enough');
fails_with($local, q{SET ROLE alice; SELECT pool_config.create_function('mine()', 'crm', 'select 1 as a');}, '42501', 'foreign server', 'who may not use the target makes none of it');
fails_with($local, q{SELECT pool_config.create_function('customer(id int)', 'crm', 'select 1 as a');}, '42723', 'already exists', 'without replace');

# --- refused
for my $case (
	[ q{'f(id int'}, '42601', 'syntax error' ],
	[ q{'f() returns int as $$x$$; drop table x; create function g()'}, '42601', 'one signature' ],
	[ q{'f() returns int as $$x$$ language sql; select 1'}, '42601', '.' ],
	[ q{'f(a int default 1)'}, '42601', 'no defaults' ],
	[ q{'f(out a int)'}, '42601', 'IN only' ],
	[ q{'f(variadic a int[])'}, '42601', 'IN only' ],
	[ q{'f(a anyelement)'}, '42601', 'real types' ],
	[ q{'f(a nothing)'}, '42704', 'type "nothing" does not exist' ])
{
	fails_with($local, "SELECT pool_config.create_function($case->[0], 'crm', 'select 1 as a');", $case->[1], $case->[2], "the signature $case->[0]");
}
fails_with($local, q{SELECT pool_config.create_function('f()', 'crm', 'select 1');}, '42611', 'has no name', 'a column without name');
fails_with($local, q{SELECT pool_config.create_function('f()', 'crm', 'select 1 as a, 2 as a');}, '42P13', 'used more than once', 'a name twice');
fails_with($local, q{SELECT pool_config.create_function('f()', 'crm', 'select row(1)::strange as a');}, '42704', 'type "strange" of remote column "a" is not known here', 'a type that is not known here');
fails_with($local, q{SELECT pool_config.create_function('f()', 'crm', 'select nothing');}, '42703', 'nothing', 'a statement that is wrong');
fails_with($local, q{SELECT pool_config.create_function('f()', 'crm', 'select 1; select 2');}, '42601', 'one statement', 'two statements');
sql_ok($local, q{SELECT count(*) FROM pg_proc WHERE proname = 'f'}, '0', 'nothing of that was made');

# --- the remote drifts; dump and restore
my $dump = $local->backup_dir . '.sql';
$local->command_ok([ 'pg_dump', '-f', $dump, $local->connstr('postgres') ], 'pg_dump');
$local->safe_psql('postgres', 'CREATE DATABASE restored');
$local->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $local->connstr('restored') ], 'restore');
is($local->safe_psql('restored', 'SELECT name, feels FROM customer(1)'), 'Ada|glad', 'a restored function works');
# What the check says of a function once the remote was changed like that.
sub drift_is
{
	my ($change, $function, $expected, $what) = @_;
	$remote->safe_psql('postgres', $change);
	sql_ok($local, "SELECT ok, detail FROM pool_config.check_functions('crm') WHERE function = '$function'::regprocedure", $expected, $what);
}
made(q{'all_types()', 'crm', 'select 1::int2 as i, ''x''::char(3) as c, ''sad''::mood as m, 2::numeric(8,3) as n, now()::timestamp(2) as t, null::int4range[] as r'}, 'all_types()', 'types with modifiers');
sql_ok($local, q{SELECT count(*), count(*) FILTER (WHERE ok) FROM pool_config.check_functions()}, '5|5', 'nothing has drifted');
$local->safe_psql('postgres', q{CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT pool_config.exec(current_user, ''select 1'')'; CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'});
sql_ok($local, q{SELECT string_agg(function::text, ' ') FROM pool_config.check_functions()}, q{all_types() api.rename(integer,text) customer(integer) now_there() search(text[],uuid,kinds.mood,date,"char",name)}, 'what is no such function is passed over');
$local->safe_psql('postgres', q{
	SET check_function_bodies = off;
	CREATE FUNCTION half() RETURNS SETOF record LANGUAGE sql AS 'SELECT * FROM pool_config.query(''crm'', ''select 1';
	CREATE FUNCTION odd() RETURNS SETOF record LANGUAGE sql AS 'SELECT * FROM pool_config.query(''crm'', ''select 1 as a'') AS t(a no_such_type)'});
sql_ok($local, q{SELECT string_agg(function::text || ' ' || coalesce(ok::text, '?') || ' ' || coalesce(detail, ''), ',') FROM pool_config.check_functions() WHERE function::text IN ('half()', 'odd()', 'now_there()')}, 'now_there() true ,odd() false type "no_such_type" does not exist', 'what somebody wrote wrongly does not keep it from the others');
$local->safe_psql('postgres', 'DROP FUNCTION half(); DROP FUNCTION odd()');
sql_ok($local, q{SET ROLE alice; SELECT string_agg(function::text || ' ' || coalesce(detail, ''), ' ') FROM pool_config.check_functions() WHERE function::text LIKE 'customer%'}, 'customer(integer) permission denied for foreign server crm', 'who may not use the target is told');
sql_ok($local, q{REVOKE EXECUTE ON FUNCTION all_types() FROM PUBLIC; SET ROLE alice; SELECT count(*) FROM pool_config.check_functions() WHERE function::text = 'all_types()'}, '0', 'what one may not execute is not shown');
fails_with($local, q{SELECT * FROM pool_config.check_functions('crn');}, '42704', 'crm', 'a target that is none');
drift_is('ALTER TABLE customers ADD more int',
	'customer(int)', 'f|column "more" integer is new', 'a column more there is told');
drift_is('ALTER TABLE customers DROP tags, ALTER name TYPE varchar(30), ALTER born TYPE timestamp',
	'customer(int)', 'f|column "name" is character varying(30), was character varying(20); column "born" is timestamp without time zone, was date; column "tags" is gone; column "more" integer is new', 'columns that are gone, new, different');
drift_is('ALTER TABLE customers ALTER id TYPE text',
	'customer(int)', 'f|operator does not exist: text = integer', 'an argument that does not fit any more');
drift_is('ALTER TABLE customers ALTER id TYPE int USING id::int; ALTER TABLE customers RENAME TO clients',
	'api.rename(int, text)', 'f|relation "customers" does not exist', 'a table that is not there');
drift_is('CREATE VIEW customers AS SELECT name, id, "Odd Name", feels, born::date, NULL::text[] AS tags, u FROM clients',
	'customer(int)', 'f|column "name" is character varying(30), was character varying(20)', 'a view in its place');
drift_is('DROP VIEW customers; CREATE VIEW customers AS SELECT name::varchar(20), id, "Odd Name", feels, born::date, NULL::text[] AS tags, u FROM clients',
	'customer(int)', 'f|the columns come in another order', 'another order');
drift_is('DROP VIEW customers; ALTER TABLE clients DROP more, ALTER born TYPE date, ALTER name TYPE varchar(20); ALTER TABLE clients ADD tags text[], DROP u; ALTER TABLE clients ADD u uuid; ALTER TABLE clients RENAME TO customers',
	'customer(int)', 't|', 'and what is as before is well');
$local->safe_psql('postgres', q{ALTER SERVER crm OPTIONS (SET port '1')});
sql_ok($local, q{SELECT ok IS NULL, detail FROM pool_config.check_functions('crm') WHERE function = 'customer(int)'::regprocedure}, 't|could not connect to target "crm"', 'a remote that cannot be asked is no drift');
$local->safe_psql('postgres', sprintf q{ALTER SERVER crm OPTIONS (SET port '%d')}, $remote->port);
$remote->safe_psql('postgres', 'ALTER TABLE customers ADD more int');
fails_with($local, 'SELECT * FROM customer(1);', '42804', '8 columns, 7 are declared', 'a column more there is noticed');
made(q{'customer(id int)', 'crm', 'select id, name from customers where id = $1', replace => true}, '', 'replace cannot change the columns');
$local->safe_psql('postgres', q{DROP FUNCTION customer});
made(q{'customer(id int)', 'crm', 'select id, name from customers where id = $1'}, 'customer(integer)', 'but one can be made anew');
sql_ok($local, 'SELECT * FROM customer(1)', '1|Ada', 'which works');

done_testing();
