-- Targets: made, seen, changed and dropped; connects to nothing.
CREATE EXTENSION pool_config;
SELECT pool_config.create_target('crm', 'postgresql://app:secret@db.example.com/sales?sslmode=disable',
	pool_size => 3, pool_recycle => 60, settings => '{"idle_timeout": "5min", "pool_use_lifo": false}');
SELECT target, usable, host, port, dbname, pool_size, max_overflow, pool_recycle, idle_timeout, pool_use_lifo,
	sources->>'pool_size' AS size_from, sources->>'max_overflow' AS overflow_from
FROM pool_config.targets;
SELECT srvname, srvoptions FROM pg_foreign_server;
SELECT usename, umoptions FROM pg_user_mappings;
SET pool_config.pool_timeout = '7s';
SELECT pool_timeout, sources->>'pool_timeout' AS timeout_from FROM pool_config.targets;
RESET pool_config.pool_timeout;
SELECT pool_config.alter_target('crm', max_overflow => -1, password => 'other');
SELECT pool_config.alter_target('crm', 'host=h2 user=app2');
SELECT srvoptions FROM pg_foreign_server;
SELECT umoptions FROM pg_user_mappings;
SELECT pool_config.reset_target('crm', 'pool_recycle', 'idle_timeout');
SELECT pool_config.reset_target('crm');
SELECT srvoptions FROM pg_foreign_server;
-- what is wrong, and how to mend it
SELECT pool_config.create_target('crm', 'host=h');
SELECT pool_config.create_target('x', 'host=h', pool_size => 0);
SELECT pool_config.create_target('x', 'host=h', settings => '{"pool_sise": 3}');
SELECT pool_config.create_target('x', 'host=h', settings => '{"min_idle": "many"}');
SELECT pool_config.create_target('x', 'host=h', connect_args => '{"timeout": 5}');
SELECT pool_config.create_target('postgresql://u:canary@h/db', 'crm');
SELECT pool_config.create_target('x', NULL);
SELECT pool_config.create_target('x', 'postgresql://u:p@h/db?connect_timeout=0');
SELECT pool_config.alter_target('crn', pool_size => 3);
SELECT pool_config.reset_target('crm', 'pool_sizes');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', pool_sise '3');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', pool_size 'five');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', password 'canary');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', gssencmode 'require');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', sslmode 'requier');
CREATE USER MAPPING FOR CURRENT_USER SERVER crm OPTIONS (usr 'u');
CREATE FOREIGN TABLE t (a int) SERVER crm;
SET pool_config.pool_size = 7;
SET pool_config.command_timeout = 'soon';
-- addresses
SELECT * FROM pool_config.parse_url('postgresql://u:p%40ss@h:5433/db?connect_timeout=5&ssl=true');
SELECT * FROM pool_config.parse_url('host=h user=u', '{"port": 5433, "keepalives": 1}');
SELECT * FROM pool_config.parse_url('postgresql://u:pass@h/db?timeout=5');
SELECT * FROM pool_config.parse_url('postgresql+asyncpg://u:pass@h/db');
SELECT * FROM pool_config.parse_url('postgresql://u:p@ss@h/db');
SELECT * FROM pool_config.parse_url('postgresql+asyncpg://u:pass@h/my%20db?ssl=require',
	'{"timeout": 2.5, "command_timeout": 60, "statement_cache_size": 0, "server_settings": {"jit": "off", "application_name": "app"}}');
SELECT * FROM pool_config.parse_url('postgresql://u:p@h/db?sslmode=verify_full', driver => 'asyncpg');
SELECT * FROM pool_config.parse_url('postgresql+asyncpg://u:pass@h/db?sslmode=require&pool_size=5', '{"connect_timeout": 5, "timeout": 0}');
SELECT * FROM pool_config.parse_url('postgresql+asyncpg://u:pass@h/db', driver => 'psycopg2');
SELECT * FROM pool_config.parse_url('jdbc:postgresql://h/db?user=u');
-- what an engine has, in one target; and all that is wrong, at once
SELECT pool_config.create_target('engine', 'postgresql+asyncpg://u:pass@h/db', '{"timeout": 30}', pool_size => 5, max_overflow => 10,
	settings => '{"pool_recycle": 300, "pool_pre_ping": "yes", "pool_use_lifo": true, "pool_reset_on_return": "rollback", "isolation_level": "REPEATABLE READ", "echo_pool": "debug", "pool_timeout": 7.5}');
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'engine';
SELECT pool_config.alter_target('engine', settings => '{"isolation_level": "SERIALIZABLE"}');
SELECT pool_config.alter_target('engine', settings => '{"isolation_level": "SERIALIZABLE"}');
SELECT pool_config.alter_target('engine', connect_args => '{"connect_timeout": 3, "keepalives_idle": 30}');
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'engine';
SELECT pool_config.create_target('x', 'postgresql://u:canary@h:canary/db?timeout=1&sslmode=canary',
	settings => '{"pool_sise": 3, "pool_recycle": 0, "poolclass": "AssertionPool", "creator": "f", "pool_timeout": null, "max_size": 5}');
SELECT pool_config.create_target('x', 'host=h', settings => '{"poolclass": "NullPool"}', pool_size => 3);
SELECT pool_config.create_target('null', 'host=h', settings => '{"poolclass": "sqlalchemy.pool.NullPool"}');
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'null';
SELECT pool_config.create_target('x', 'host=h', settings => '[1]');
-- whose database it is: defaults that nobody stored
SELECT pool_config.create_target('neon', 'postgresql://alex:s3cret@ep-cool-lake-123456.us-east-2.aws.neon.tech/shop');
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'neon';
SELECT connect_timeout, sources->>'connect_timeout' AS "from", idle_timeout, sources->>'idle_timeout' AS "from", pool_size, sources->>'pool_size' AS "from"
FROM pool_config.targets WHERE target = 'neon';
SELECT pool_config.alter_target('neon', connect_timeout => 20);
SELECT pool_config.alter_target('neon', pool_recycle => 300, pool_size => 90);
SELECT connect_timeout, sources->>'connect_timeout' AS "from" FROM pool_config.targets WHERE target = 'neon';
SELECT * FROM pool_config.parse_url('postgresql://postgres.abc:s3cret@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?options=-c%20jit%3Doff');
SELECT pool_config.create_target('direct', 'postgresql://postgres.abc:s3cret@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?options=-c%20jit%3Doff',
	settings => '{"pooler": "session"}');
-- files and credentials of the server
CREATE ROLE regress_pool_user;
GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO regress_pool_user;
SET ROLE regress_pool_user;
SELECT pool_config.create_target('files', 'postgresql://u:pass@h/db?service=prod');
SELECT pool_config.create_target('files', 'postgresql://u:pass@h/db?sslmode=verify-full&sslrootcert=/ca.pem&krbsrvname=x');
CREATE SERVER files FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', passfile '/x');
RESET ROLE;
GRANT pg_read_server_files TO regress_pool_user;
SET ROLE regress_pool_user;
SELECT pool_config.create_target('files', 'postgresql://u:pass@h/db?service=prod&sslmode=verify-full&sslrootcert=/ca.pem');
RESET ROLE;
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'files';
SELECT pool_config.drop_target(target) FROM pool_config.targets WHERE target <> 'crm';
REVOKE USAGE ON FOREIGN DATA WRAPPER pool_config FROM regress_pool_user;
DROP ROLE regress_pool_user;
-- dropped with its mappings, unless something hangs on it
SELECT pool_config.drop_target('crm');
SELECT count(*) FROM pg_user_mappings;
SELECT pool_config.drop_target('crm');
SELECT pool_config.drop_target('crm', true);
DROP EXTENSION pool_config;
